"""Removes channels from a model in one or several rounds, and tells what became of each layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizers.declarations import StageContext
from optimizers.errors import NotApplicable
from optimizers.tf import cost, graph, kernels, sensitivity, shapes, students
from optimizers.tf.channels.criteria import Scores, products_with_gradients, scores
from optimizers.tf.channels.plan import Cost, Counter, Damages, choices, plan, step, weakest
from optimizers.tf.channels.surgery import without, zeroed
from optimizers.tf.channels.trace import Group, has_kernel, trace
from optimizers.tf.pruning import chosen_only

if TYPE_CHECKING:
    from optimizers.techniques.structured_pruning import StructuredPruningParams

_LEVELS = (0.25, 0.5, 0.75)
_MEASURING_MACS = 1e12
_FEWEST_EXAMPLES = 64
_SMALL = "it has too few channels"


@dataclass(frozen=True)
class Done:
    """What was done so far: for the report, and in words for a rehearsal."""

    touched: dict[str, str]
    skipped: dict[str, str]
    notes: tuple[str, ...]
    figures: dict[str, Any]


class Pruning:
    """A model that loses channels.

    Attributes:
        model: The tf_keras model as it is now, without models nested in it; it may be trained between cuts.

    Args:
        whole: The model to start from. It is not changed, but for the time of a measurement.
        params: Of structured pruning.
        input_shape: Shape of one example where the model leaves dimensions open.

    Raises:
        NotApplicable: No layer can lose channels, or a chosen layer does not exist.
    """

    def __init__(self, whole: Any, params: StructuredPruningParams, input_shape: tuple[int, ...] | None = None) -> None:
        self.model = graph.rebuilt(whole) if any(map(graph.is_graph, whole.layers)) else whole
        self._params, self._shape = params, input_shape
        self._trace = trace(self.model, params.layers)
        chosen_only({layer.name: layer for layer in kernels.layers(self.model) if has_kernel(layer)}, params.layers)
        self._steps = {group.name: step(len(group.roots), params.round_to, group.heads) for group in self._trace.groups}
        able = [group for group in self._trace.groups if len(self._choices(group)) > 1]
        free = {name for group in able for name, _ in group.members}
        self._small = {name for group in self._trace.groups for name, _ in group.members} - free
        if not able:
            told = {**self._trace.skipped, **dict.fromkeys(sorted(self._small), _SMALL)}
            reasons = "; ".join(f"{name}: {reason}" for name, reason in told.items()) or "none makes any"
            raise NotApplicable(f"No layer of this model can lose channels ({reasons}).")
        self._before, self._cost_before, self._whole = self._widths(), self._costs(), self._now()
        self._reached, self._fallen = True, list[str]()
        self._sensitivity: dict[str, Any] = {}

    def cut(self, share: float, context: StageContext | None = None) -> None:
        """Removes channels until a share of the amount is gone.

        Args:
            share: From 0 to 1, in proportions: half of it leaves the square root of what all of it leaves.
            context: Of the stage; without it nothing is measured: all layers lose about the same share, and where
                gradients should decide which channels go, the size of weights does.
        """
        params, groups = self._params, self._trace.groups
        products = None
        if params.criterion == "taylor" and context is not None:
            products = products_with_gradients(self._trace, context)
        criterion = "l2" if params.criterion == "taylor" and products is None else params.criterion
        found, self._fallen = scores(self._trace, criterion, products)
        damages = None
        if params.distribution == "sensitivity" and context is not None:
            damages = self._measured(context, found)
        target = self._whole * (1 - params.amount) ** share
        decided = plan(groups, self._cost(), target, self._steps, damages)
        self._reached = decided.reached
        self.model = without(self._trace, decided.dead(groups, found))
        self._trace = trace(self.model, params.layers)

    def start_afresh(self) -> None:
        """Gives the model fresh weights."""
        self.model = students.untrained(self.model)
        self._trace = trace(self.model, self._params.layers)

    def done(self) -> Done:
        """What became of each layer so far."""
        after, macs, parameters = self._widths(), *self._costs()
        skipped, layers, touched = dict(self._trace.skipped), dict[str, Any](), dict[str, str]()
        for name, before in self._before.items():
            if name in skipped:
                continue
            if name in self._small:
                skipped[name] = _SMALL
                continue
            changed = {what: (count, after[name][what]) for what, count in before.items() if after[name][what] != count}
            what = next(iter(changed or before))
            layers[name] = {"before": before[what], "after": after[name][what], "what": what}
            if changed:
                touched[name] = ", ".join(f"{was} to {now} {what}" for what, (was, now) in changed.items())
        figures: dict[str, Any] = {
            "layers": layers,
            "macs": {"before": self._cost_before[0], "after": macs},
            "parameters": {"before": self._cost_before[1], "after": parameters},
            "criterion": self._params.criterion,
        }
        if self._sensitivity:
            figures["sensitivity"] = self._sensitivity
        return Done(touched, skipped, tuple(self._notes()), figures)

    def _notes(self) -> Iterator[str]:
        if self._fallen:
            yield f"No batch normalization follows {', '.join(self._fallen)}; there the l2 norm chose the channels."
        if not self._reached:
            what = "multiply-accumulates" if self._params.of == "macs" else "channels"
            yield (
                f"No more than {1 - self._now() / self._whole:.0%} of the {what} can be removed from this model where "
                f"{self._params.amount:.0%} were asked for: the other layers have to stay as they are."
            )

    def _choices(self, group: Group) -> list[int]:
        return choices(len(group.roots), self._steps[group.name], group.heads)

    def _widths(self) -> dict[str, dict[str, int]]:
        """Channels of every layer that makes some: filters, units, heads."""
        return {
            name: {made.what: len(made.labels) for made in layout.made}
            for name, layout in self._trace.layouts.items()
            if layout.made
        }

    def _costs(self) -> tuple[int, int]:
        """Multiply-accumulates and parameters."""
        return cost.macs(self._sized()), self.model.count_params()

    def _sized(self) -> Any:
        return shapes.with_input_shape(self.model, self._shape)

    def _cost(self) -> Cost:
        counter = Counter(self._trace, self._sized())
        return counter.macs if self._params.of == "macs" else counter.channels

    def _now(self) -> float:
        """What the model costs now."""
        return self._cost()(np.array([float(len(group.roots)) for group in self._trace.groups]))

    def _measured(self, context: StageContext, found: Scores) -> Damages:
        """How much the loss rises when one group alone keeps fewer channels, by group and number kept."""
        wanted: list[tuple[Group, int]] = []
        for group in self._trace.groups:
            counts = self._choices(group)
            near = {min(counts, key=lambda count: abs(count - (1 - level) * counts[0])) for level in _LEVELS}
            wanted += [(group, count) for count in sorted(near - {counts[0]})]
        per_example = max(1, cost.macs(self._sized()) * len(wanted))
        examples = int(min(sensitivity.EXAMPLES, max(_FEWEST_EXAMPLES, _MEASURING_MACS // per_example)))

        def changes() -> Iterator[tuple[tuple[str, int], sensitivity.Change]]:
            for group, count in wanted:
                context.progress(0, 1)
                yield (group.name, count), zeroed(self._trace, weakest(group, found, len(group.roots) - count))

        measured = sensitivity.rises(self.model, context, changes(), examples)
        damages: dict[str, dict[int, float]] = {group.name: {} for group in self._trace.groups}
        for (name, count), rise in measured.rises.items():
            damages[name][count] = min(rise, sensitivity.HOPELESS)
        if not self._sensitivity:
            self._sensitivity = {
                "part": measured.part,
                "examples": measured.examples,
                "loss": measured.loss,
                "rises": {
                    name: {str(count): rise for count, rise in rises.items() if rise < sensitivity.HOPELESS}
                    for name, rises in damages.items()
                },
            }
        return damages
