"""Optuna as the one who proposes settings. It keeps nothing: what was tried is told to it from the history."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from optimizers import registry
from optimizers.search.records import Study
from optimizers.search.space import Space

if TYPE_CHECKING:
    import optuna

_POPULATION = 16
_STARTUP = 10


class Guide:
    """Proposes settings for a search; safe to use from one thread.

    Args:
        study: What is searched for.
        space: Where. It may be changed when more is known; settings keep their names.
        told: How many trials there have been; it varies what is drawn after a restart.
    """

    def __init__(self, study: Study, space: Space, told: int = 0) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        known = registry.metrics()
        self.space = space
        directions: list[Literal["minimize", "maximize"]] = [
            "minimize" if known[name].direction == "lower" else "maximize" for name in study.objectives
        ]
        self._optuna = optuna.create_study(directions=directions, sampler=_sampler(study, told))
        seed = (study.seed * 7919 + told) % 2**31
        self._chance = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        self._open: dict[int, optuna.Trial] = {}

    def ask(self) -> tuple[int, dict[str, Any]]:
        """A handle to tell the result by, and settings; those still at work are avoided."""
        trial = self._optuna.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a choice of one value is none
            self.space.suggest(trial)
        self._open[trial.number] = trial
        return trial.number, dict(trial.params)

    def draw(self) -> dict[str, Any]:
        """Settings by chance, for when the sampler proposes what was tried again and again."""
        trial = self._chance.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.space.suggest(trial)
        return dict(trial.params)

    def drop(self, handle: int | None) -> None:
        """Takes back what was asked and is not tried."""
        import optuna

        trial = self._open.pop(handle, None) if handle is not None else None
        if trial is not None:
            self._optuna.tell(trial, state=optuna.trial.TrialState.FAIL)

    def tell(
        self, params: Mapping[str, Any], values: Sequence[float], limits: Mapping[str, float], handle: int | None = None
    ) -> None:
        """How settings did: objectives in their own units, and limits, which are broken where they are above 0."""
        import optuna

        if handle is not None:
            self.drop(handle)
        recorder = _Recorder(params)
        self.space.suggest(recorder)
        told = {name: params[name] for name in recorder.distributions}
        trial = optuna.trial.create_trial(
            values=list(values), params=told, distributions=recorder.distributions, constraints=dict(limits)
        )
        self._optuna.add_trial(trial)


class _Recorder:
    """Answers with known values and notes the distributions that Optuna wants to know."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.distributions: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        import optuna

        self.distributions[name] = optuna.distributions.CategoricalDistribution(choices)
        return self._values[name]

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        import optuna

        value = int(self._values[name])
        self.distributions[name] = optuna.distributions.IntDistribution(low, high, log=log, step=step)
        return value

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        import optuna

        value = float(self._values[name])
        self.distributions[name] = optuna.distributions.FloatDistribution(low, high, log=log, step=step)
        return value


def _sampler(study: Study, told: int) -> Any:
    import optuna

    seed = (study.seed * 7919 + told) % 2**31
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if study.sampler == "nsga2":
            return optuna.samplers.NSGAIISampler(population_size=_POPULATION, seed=seed)
        if study.sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        return optuna.samplers.TPESampler(
            n_startup_trials=_STARTUP, multivariate=True, group=True, constant_liar=True, seed=seed
        )
