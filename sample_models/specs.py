"""What each sample model is: its network, its data, how it is trained. Nothing here imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sample_models import architectures
from sample_models.augment import Augmentation

SEED = 7
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Spec:
    """One sample model.

    Attributes:
        network: Builds it, given ``keras`` or ``tf_keras``.
        data: Name of the sample data set.
        file: Name in ``sample_models/models``.
        learning_rate: Of AdamW at the start; falls to zero along a cosine.
        decay: AdamW's weight decay.
        variant_of: Not trained: the same weights as that model, in another format.
    """

    network: Callable[[Any], Any]
    data: str
    file: str
    description: str
    epochs: int = 0
    batch: int = 64
    learning_rate: float = 2e-3
    decay: float = 1e-4
    augment: Augmentation | None = None
    variant_of: str | None = None


_DIGITS = Augmentation(rotate=10, zoom=0.1, shift=0.7)
_CLOTHES = Augmentation(rotate=3, zoom=0.05, shift=1, flip=True, erase=6)

SPECS: dict[str, Spec] = {
    "digits_cnn": Spec(
        architectures.digits_cnn,
        "optdigits",
        "digits_cnn.keras",
        "Reads handwritten digits with three convolutions; the model to start with.",
        epochs=40,
        augment=_DIGITS,
    ),
    "digits_resnet": Spec(
        architectures.digits_resnet,
        "optdigits",
        "digits_resnet.keras",
        "Reads handwritten digits with a residual network; large for its task, and the natural teacher.",
        epochs=40,
        decay=5e-4,
        augment=_DIGITS,
    ),
    "digits_lstm": Spec(
        architectures.digits_lstm,
        "optdigits",
        "digits_lstm.keras",
        "Reads handwritten digits row by row with an LSTM.",
        epochs=50,
        learning_rate=4e-3,
        augment=_DIGITS,
    ),
    "digits_transformer": Spec(
        architectures.digits_transformer,
        "optdigits",
        "digits_transformer.keras",
        "Reads handwritten digits with self-attention over their rows.",
        epochs=60,
        augment=_DIGITS,
    ),
    "fashion_cnn": Spec(
        architectures.fashion_cnn,
        "fashion_mnist",
        "fashion_cnn.keras",
        "Names clothing in small photographs with four convolutions.",
        epochs=80,
        batch=32,
        learning_rate=4e-3,
        decay=0.05,
        augment=_CLOTHES,
    ),
    "fashion_mobilenet": Spec(
        architectures.fashion_mobilenet,
        "fashion_mnist",
        "fashion_mobilenet.keras",
        "Names clothing in small photographs with depthwise-separable convolutions, as phones do.",
        epochs=70,
        batch=32,
        learning_rate=4e-3,
        decay=0.05,
        augment=_CLOTHES,
    ),
    "occupancy_gru": Spec(
        architectures.occupancy_gru,
        "occupancy",
        "occupancy_gru.keras",
        "Tells from sixteen minutes of five sensors whether an office is occupied, with a GRU.",
        epochs=10,
        learning_rate=1e-3,
        decay=1e-3,
    ),
    "penguins_mlp": Spec(
        architectures.penguins_mlp,
        "penguins",
        "penguins_mlp.keras",
        "Tells three penguin species apart from four measures, island and sex.",
        epochs=60,
        batch=16,
        decay=1e-3,
    ),
    "mpg_mlp": Spec(
        architectures.mpg_mlp,
        "auto_mpg",
        "mpg_mlp.keras",
        "Estimates the miles per gallon of cars of the 1970s.",
        epochs=100,
        batch=32,
        learning_rate=5e-3,
        decay=0.05,
    ),
    "digits_cnn_h5": Spec(
        architectures.digits_cnn,
        "optdigits",
        "digits_cnn.h5",
        "digits_cnn in the HDF5 format of Keras 2.",
        variant_of="digits_cnn",
    ),
    "penguins_mlp_savedmodel": Spec(
        architectures.penguins_mlp,
        "penguins",
        "penguins_mlp_savedmodel.zip",
        "penguins_mlp as a TensorFlow SavedModel of Keras 2, zipped.",
        variant_of="penguins_mlp",
    ),
}
