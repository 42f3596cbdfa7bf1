"""The data sets that come with the product: real, small, permissively licensed (``sample:optdigits`` and so on).

Scaling happens here and not inside the models; what it needs (means, deviations) is learnt on the training part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optimizers.datasets import previews, splits
from optimizers.datasets.tables import Feature, encode, learn_features
from optimizers.declarations import Dataset, DatasetOrigin, Part
from optimizers.errors import UnknownName
from optimizers.records import DatasetRef, DatasetSummary, digest_of, digest_of_path
from sample_models import DATA

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

WINDOW_MINUTES = 16
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
SENSORS = ("temperature", "humidity", "light", "co2", "humidity_ratio")
MPG_COLUMNS = (
    "mpg", "cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year", "origin", "car_name",
)  # fmt: skip


@dataclass(frozen=True)
class _Source:
    """One sample set. ``version`` is raised when the preparation changes, so that old results are not reused."""

    file: str
    version: str
    load: Callable[[], Dataset]


def optdigits() -> Dataset:
    """Handwritten digits: x float32 (8, 8, 1) from 0 to 1, y 0..9. Test is the official part, by other writers."""
    import numpy as np

    with np.load(DATA / "optdigits.npz", allow_pickle=False) as arrays:
        x, y = arrays["x_train"], arrays["y_train"].astype(np.int64)
        x_test, y_test = arrays["x_test"], arrays["y_test"].astype(np.int64)
    split = splits.stratified(y, validation=600, test=0)
    classes = tuple(str(digit) for digit in range(10))
    scaled, scaled_test = (_scaled_images(images, 16) for images in (x, x_test))
    return _dataset(
        Part(scaled[split.train], y[split.train]),
        Part(scaled[split.validation], y[split.validation]),
        Part(scaled_test, y_test),
        task="classification",
        classes=classes,
        licence="CC BY 4.0",
        source="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998",
        notes=(
            "Grey values 0 to 16 are divided by 16.",
            "The test part is the official one, by writers who wrote none of the other digits.",
            "Validation is a fixed sixth of the official training part, every digit in proportion; its writers "
            "are also in train, so it looks a little easier than the test.",
        ),
        preview=previews.images(scaled[split.train], y[split.train], classes),
    )


def fashion_mnist() -> Dataset:
    """Clothing: x float32 (28, 28, 1) from 0 to 1, y 0..9; 1,200 to train, 300 to validate, 400 to test."""
    import numpy as np

    with np.load(DATA / "fashion_mnist_1900.npz", allow_pickle=False) as arrays:
        x, y = _scaled_images(arrays["x"], 255), arrays["y"].astype(np.int64)
    split = splits.stratified(y, validation=300, test=400)
    train, validation, test = (Part(x[rows], y[rows]) for rows in split)
    return _dataset(
        train,
        validation,
        test,
        task="classification",
        classes=CLOTHES,
        licence="MIT",
        source="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, Zalando Research, 2017",
        notes=(
            "Grey values 0 to 255 are divided by 255.",
            "1,900 of the 60,000 training images, without duplicates, divided once and for all with every class in "
            "proportion; figures are therefore lower than those published for the full set.",
        ),
        preview=previews.images(train.x, train.y, CLOTHES),
    )


def occupancy() -> Dataset:
    """Is the office occupied: x float32 (16, 5), 16 minutes of five sensors; y 1 if occupied in the last minute.

    The first four fifths of the training minutes train, the last fifth validates, the official test minutes test.
    """
    import numpy as np

    with np.load(DATA / "occupancy.npz", allow_pickle=False) as arrays:
        x, y = arrays["x_train"].astype(np.float64), arrays["y_train"].astype(np.int64)
        x_test, y_test = arrays["x_test"].astype(np.float64), arrays["y_test"].astype(np.int64)
    end = len(x) * 4 // 5
    mean, std = x[:end].mean(axis=0), x[:end].std(axis=0)
    pieces = ((x[:end], y[:end]), (x[end:], y[end:]), (x_test, y_test))
    raw = [splits.windows(values, labels, WINDOW_MINUTES) for values, labels in pieces]
    train, validation, test = (Part(((v - mean) / std).astype(np.float32), labels) for v, labels in raw)
    classes = ("empty", "occupied")
    features = [Feature(name, name, float(m), float(s)) for name, m, s in zip(SENSORS, mean, std, strict=True)]
    return _dataset(
        train,
        validation,
        test,
        task="binary",
        classes=classes,
        features=SENSORS,
        licence="CC BY 4.0",
        source="L. Candanedo: Occupancy Detection, UCI, 2016",
        notes=(
            f"Each example is a window of {WINDOW_MINUTES} consecutive minutes; its label is that of the last minute.",
            "Divided by time, before the windows were cut: no minute is in two parts.",
            "Neighbouring windows share minutes and are not independent: intervals computed from them are too narrow.",
            "Sensors are standardized with mean and deviation of the training minutes.",
        ),
        preview=previews.sequences(raw[0][0], raw[0][1], classes, SENSORS) | _encoding(features),
    )


def penguins() -> Dataset:
    """Penguin species from island, sex and four measures: x float32 (9,), y 0..2; 199 train, 67 validation, 67 test."""
    import pandas as pd

    frame = pd.read_csv(DATA / "penguins_333.csv").drop(columns=["year"])
    classes = tuple(sorted(frame["species"].unique()))
    y = frame["species"].map({name: number for number, name in enumerate(classes)}).to_numpy(dtype="int64")
    return _table_dataset(
        frame,
        target="species",
        y=y,
        split=splits.stratified(y, validation=67, test=67),
        categorical=("island", "sex"),
        task="classification",
        classes=classes,
        licence="CC0 1.0",
        source="K. Gorman, A. Horst, A. Hill: palmerpenguins, 2020",
        notes=(
            "Only the 333 complete rows; the year of the visit is left out.",
            "Measures are standardized with mean and deviation of the training part; island and sex are one-hot.",
            "With 67 test examples one penguin is 1.5 points of accuracy.",
        ),
    )


def auto_mpg() -> Dataset:
    """Fuel economy of cars: x float32 (9,), y float32 in miles per gallon; 250 train, 63 validation, 79 test."""
    import pandas as pd

    frame = pd.read_csv(DATA / "auto-mpg.data", sep=r"\s+", names=list(MPG_COLUMNS), na_values="?", quotechar='"')
    complete = frame.dropna(subset=["horsepower"]).reset_index(drop=True)
    complete["origin"] = complete["origin"].map({1: "USA", 2: "Europe", 3: "Japan"})
    y = complete["mpg"].to_numpy(dtype="float32")
    return _table_dataset(
        complete.drop(columns=["car_name"]),
        target="mpg",
        y=y,
        split=splits.stratified(splits.target_bands(y), validation=63, test=79),
        categorical=("origin",),
        task="regression",
        target_unit="mpg",
        licence="CC BY 4.0",
        source="R. Quinlan: Auto MPG, UCI, 1993",
        notes=(
            f"{len(frame) - len(complete)} of {len(frame)} rows lack the horsepower and are left out.",
            "Measures are standardized with mean and deviation of the training part; origin is one-hot; the car's name "
            "is left out; the target stays in miles per gallon.",
        ),
    )


def _table_dataset(
    frame: pd.DataFrame, *, target: str, y: np.ndarray, split: splits.Split, categorical: tuple[str, ...], **said: Any
) -> Dataset:
    columns = {str(name): frame[name].to_numpy() for name in frame.columns if name != target}
    features = learn_features(columns, split.train, categorical)
    x = encode(columns, features)
    train, validation, test = (Part(x[rows], y[rows]) for rows in split)
    shown = split.train[previews.varied(train.y, 6, said.get("classes", ()))]
    names = [*columns, target]
    rows = [[_plain(frame[name].iloc[int(row)]) for name in names] for row in shown]
    return _dataset(
        train,
        validation,
        test,
        features=tuple(feature.name for feature in features),
        preview=previews.table(names, rows) | _encoding(features),
        **said,
    )


def _dataset(train: Part, validation: Part, test: Part, **said: Any) -> Dataset:
    summary = DatasetSummary(
        input_shape=train.x.shape[1:],
        input_dtype=str(train.x.dtype),
        n_train=len(train),
        n_validation=len(validation),
        n_test=len(test),
        **said,
    )
    return Dataset(train, validation, test, summary)


def _scaled_images(x: np.ndarray, top: int) -> np.ndarray:
    import numpy as np

    return (x.astype(np.float32) / np.float32(top))[..., np.newaxis]


def _encoding(features: list[Feature]) -> dict[str, Any]:
    return {"encoding": [feature.to_dict() for feature in features]}


def _plain(value: Any) -> str | float | int:
    """A table cell as JSON takes it."""
    plain: str | float | int = value.item() if hasattr(value, "item") else value
    return plain


_SOURCES = {
    "optdigits": _Source("optdigits.npz", "1", optdigits),
    "fashion_mnist": _Source("fashion_mnist_1900.npz", "1", fashion_mnist),
    "occupancy": _Source("occupancy.npz", "1", occupancy),
    "penguins": _Source("penguins_333.csv", "1", penguins),
    "auto_mpg": _Source("auto-mpg.data", "1", auto_mpg),
}


def _source(name: str) -> _Source:
    if name not in _SOURCES:
        raise UnknownName(f"There is no sample data set {name!r}; known are: {', '.join(_SOURCES)}.")
    return _SOURCES[name]


def resolve(name: str) -> DatasetRef:
    """The reference of a sample set; its digest covers the file and the version of its preparation.

    Raises:
        UnknownName: Lists the sets there are.
    """
    source = _source(name)
    made_of = {"file": digest_of_path(DATA / source.file), "name": name, "version": source.version}
    return DatasetRef(uri=f"sample:{name}", name=name, digest=digest_of(made_of))


def load(name: str) -> Dataset:
    """The sample set with its three parts. Raises `UnknownName`."""
    return _source(name).load()


ORIGIN = DatasetOrigin(prefix="sample", title="Sample data", list=lambda: tuple(_SOURCES), resolve=resolve, load=load)
