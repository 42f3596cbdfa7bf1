"""Several files answer the same example, one after the other and again, so that their times can be told apart."""

from __future__ import annotations

import base64
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from optimizers.datasets import previews
from optimizers.datasets.pictures import mask_picture
from optimizers.declarations import Dataset, Evidence, Part
from optimizers.engine.store import open_store
from optimizers.errors import NotApplicable, ParetoscopeError
from optimizers.kinds import KINDS
from optimizers.live import examples
from optimizers.live.given import checked
from optimizers.records import ModelSummary, Task
from optimizers.settings import Settings

if TYPE_CHECKING:
    import numpy as np

_SECONDS, _LONGEST_SECONDS = 0.2, 3.0
_FEWEST, _MOST = 3, 300
_TOP = 3


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Share(_Told):
    """A class and its probability."""

    name: str
    probability: float


class Said(_Told):
    """What a file answers in one of several outputs: ``text``, how ``sure`` where that is told, and whether it
    ``decides``, so that the text is right or wrong as a whole."""

    output: str
    text: str
    sure: float | None = None
    decides: bool = True


class Answer(_Told):
    """What one file answers, or why it does not (``problem``).

    ``text`` is the answer in words, and ``decides`` whether it is a decision that is right or wrong as a whole. ``top``
    has the most probable classes (or labels, or the commonest classes of positions) with their ``share``, ``sure`` how
    probable the decision is, and ``value`` the number that a regression estimates. ``picture`` is the address of a
    picture of the classes of all pixels. Of a model with several outputs ``said`` has what each says. ``ms`` is the
    median of ``n`` runs of this very example.
    """

    artifact: str
    text: str = ""
    decides: bool = True
    sure: float | None = None
    picture: str = ""
    top: tuple[Share, ...] = ()
    value: float | None = None
    said: tuple[Said, ...] = ()
    ms: float | None = None
    n: int = 0
    problem: str = ""


class Outcome(_Told):
    """A race: the example as the files saw it, its true label where that is known, and an answer of each file.

    ``truths`` has the true labels of several outputs, by name.
    """

    picture: str = ""
    cells: dict[str, Any] = {}
    truth: str = ""
    truth_picture: str = ""
    truths: dict[str, str] = {}
    answers: tuple[Answer, ...] = ()


def race(report: Any, *, racers: list[dict[str, Any]], dataset: str, digest: str, given: Any) -> dict[str, Any]:
    """The task: runs in a measuring process.

    Args:
        report: Where progress goes; unused, a race takes a second.
        racers: For each file its ``artifact`` (key in the store) and the ``summary`` of its model.
        dataset, digest: URI and digest of the data set that all of them are for.
        given: What is asked, see `optimizers.live.given`.
    """
    example = examples.seen(checked(given), dataset, digest)
    picture, cells = examples.portrait(example)
    store = open_store(Settings())
    asked: list[tuple[str, Path, np.ndarray]] = []
    answers: dict[str, Answer] = {}
    truth = truth_picture = ""
    truths: dict[str, str] = {}
    for racer in racers:
        key, model = racer["artifact"], ModelSummary.model_validate(racer["summary"])
        try:
            record = store.get(key)
            if record is None:
                raise NotApplicable("The file is no longer in the store; run the recipe again to get it back.")
            data, x, y = _suited(example, model, dataset)
            file = store.path(record)
            answers[key] = _answer(key, file, x, data, model)
            truths = truths or _truths(y, data)
            truth = truth or (", ".join(map(" ".join, truths.items())) if truths else _truth(y, data))
            if y is not None and data.summary.task == "segmentation":
                truth_picture = truth_picture or _mask(y, data)
            asked.append((key, file, x))
        except ParetoscopeError as error:
            answers[key] = Answer(artifact=key, problem=error.message)
    for key, times in _timed(asked).items():
        answers[key] = answers[key].model_copy(update=times)
    told = tuple(answers[racer["artifact"]] for racer in racers)
    outcome = Outcome(
        picture=picture, cells=cells, truth=truth, truth_picture=truth_picture, truths=truths, answers=told
    )
    return outcome.model_dump(mode="json")


def decode(report: Any, *, content: str, name: str) -> dict[str, Any]:
    """The task that opens a stranger's picture (Base64); runs in a reading process."""
    return examples.decode(base64.b64decode(content), name).model_dump(mode="json")


def _suited(example: examples.Seen, model: ModelSummary, dataset: str) -> tuple[Dataset, np.ndarray, np.ndarray | None]:
    """The example in the form that the model takes, and the data set as the model's task has it (one example each)."""
    import numpy as np

    from optimizers.datasets import fit

    data, label = example.data, example.y
    y = data.test.y[:1] if label is None else label
    one = Part(example.x, y)
    fitted = fit.adapt_dataset(
        Dataset(one, one, one, data.summary), model.inputs, model.outputs, dataset, model.activation
    )
    return fitted, fitted.test.x, None if label is None else np.asarray(fitted.test.y)


def _answer(key: str, file: Path, x: np.ndarray, data: Dataset, model: ModelSummary) -> Answer:
    import numpy as np

    from optimizers.answers import answers
    from optimizers.metrics._outputs import columns, shaped

    targets = data.summary.targets
    scores = answers(file, x, data.summary.task, model.activation, targets=targets)
    if not np.isfinite(scores).all():
        raise NotApplicable("The file answers with something that is no number.")
    if not targets:
        return _told(key, scores, data)
    said, picture = [], ""
    for one, own in zip(targets, columns(targets), strict=True):
        told = _told(key, shaped(scores[:, own], one), data.of(one))
        said.append(Said(output=one.name, text=told.text, sure=told.sure, decides=told.decides))
        picture = picture or told.picture
    text = ", ".join(f"{one.output} {one.text}" for one in said)
    return Answer(artifact=key, text=text, decides=False, said=tuple(said), picture=picture)


def _told(key: str, scores: np.ndarray, data: Dataset) -> Answer:
    """What the scores of a single output say, as `Evidence` has them for its task."""
    import numpy as np

    from optimizers.metrics._evidence import class_probabilities, decisions

    task: Task = data.summary.task
    if not KINDS[task].decides:
        if scores.size == 1 and task == "regression":
            value = float(scores.reshape(-1)[0])
            return Answer(artifact=key, value=value, text=_number(value, data), decides=False)
        return Answer(artifact=key, text=previews.told(scores.reshape(-1), ()), decides=False)
    evidence = Evidence(Path(), task, scores, np.zeros_like(data.test.y[:1]))
    decided, _, _ = decisions(evidence)
    if task == "segmentation":
        return Answer(artifact=key, decides=False, text=previews.told(decided[0], _names(data)),
                      picture=_mask(decided.reshape(data.test.y[:1].shape), data))  # fmt: skip
    if task == "multilabel":
        order = np.argsort(-scores.reshape(-1), kind="stable")[:_TOP]
        top = tuple(Share(name=_name(int(i), data), probability=float(scores.reshape(-1)[i])) for i in order)
        return Answer(artifact=key, text=previews.told(decided[0], _names(data)), top=top)
    try:
        shares = class_probabilities(evidence)[0][0]
    except NotApplicable:
        return Answer(artifact=key, text=_name(int(decided[0]), data))
    order = np.argsort(-shares, kind="stable")[:_TOP]
    top = tuple(Share(name=_name(int(i), data), probability=float(shares[i])) for i in order)
    return Answer(artifact=key, text=_name(int(decided[0]), data), top=top, sure=top[0].probability)


def _truths(y: np.ndarray | None, data: Dataset) -> dict[str, str]:
    """The true labels of those of several outputs that have some, in words."""
    if y is None:
        return {}
    labelled = [one for one in data.summary.targets if one.task != "fidelity"]
    return {one.name: _truth(y[one.name], data.of(one)) for one in labelled}


def _truth(y: np.ndarray | None, data: Dataset) -> str:
    if y is None or data.summary.task in ("reconstruction", "fidelity"):
        return ""
    if KINDS[data.summary.task].one_class:
        return _name(int(y[0]), data)
    if data.summary.task == "regression" and y[0].size == 1:
        return _number(float(y[0].reshape(-1)[0]), data)
    return previews.told(y[0], _names(data))


def _mask(classes: np.ndarray, data: Dataset) -> str:
    """The address of a picture of classes of pixels, shape (1, h, w); empty where positions are no pixels."""
    return mask_picture(classes[0], len(data.summary.classes)) if classes.ndim == 3 else ""


def _names(data: Dataset) -> tuple[str, ...]:
    return data.summary.classes


def _name(number: int, data: Dataset) -> str:
    known = data.summary.classes
    return known[number] if number < len(known) else str(number)


def _number(value: float, data: Dataset) -> str:
    told = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{told} {data.summary.target_unit}".strip()


def _timed(asked: list[tuple[str, Path, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Median milliseconds of each file, all of them in turn, forwards and backwards."""
    import numpy as np

    from optimizers.litert.rounds import prepared

    if not asked:
        return {}
    ready = [(key, prepared(file, 1, x)) for key, file, x in asked]
    for _, interpreter in ready:
        interpreter.invoke()
    times: dict[str, list[int]] = {key: [] for key, _ in ready}
    started = perf_counter_ns()
    for n in range(_MOST):
        spent = (perf_counter_ns() - started) / 1e9
        if spent > _LONGEST_SECONDS or (n >= _FEWEST and spent > _SECONDS):
            break
        for key, interpreter in ready:
            before = perf_counter_ns()
            interpreter.invoke()
            times[key].append(perf_counter_ns() - before)
        ready.reverse()
    return {key: {"ms": float(np.median(taken)) / 1e6, "n": len(taken)} for key, taken in times.items() if taken}
