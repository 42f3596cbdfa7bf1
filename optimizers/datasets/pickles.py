"""Reads pickles in which data sets were published (CIFAR's batches, IMDB's reviews), written by Python 2 or 3.

A pickle can name any function and have it called. Here it can name four of NumPy's, each by one of the names that NumPy
has had, and gets a stand-in of ours for it; whatever else it names is refused. So nothing but plain values comes out.
"""

from __future__ import annotations

import io
import math
import pickle
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 512 << 20
"""Longest pickle that is opened; the longest published one, the training part of CIFAR-100, has 155 MB."""


class StoredArray:
    """An array as a pickle describes it."""

    __slots__ = ("data", "dtype", "fortran", "shape")

    def __init__(self) -> None:
        self.shape: Any = ()
        self.dtype: Any = None
        self.fortran: Any = False
        self.data: Any = None

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state


class _StoredDtype:
    """A dtype as a pickle describes it: its letter and size, and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code, self.order = code, "|"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])


class _StandIn:
    """What a pickle gets for one of NumPy's names. It cannot be changed from there."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> NoReturn:
        raise pickle.UnpicklingError("a function of NumPy is given a state")


class _NdArray(_StandIn):
    """Only handed to ``_reconstruct``."""


class _Reconstruct(_StandIn):
    def __call__(self, kind: Any, shape: Any, code: Any) -> StoredArray:
        return StoredArray()


class _Dtype(_StandIn):
    def __call__(self, code: Any, align: Any = False, copy: Any = True) -> _StoredDtype:
        return _StoredDtype(_text(code))


class _FromBuffer(_StandIn):
    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any, *more: Any) -> StoredArray:
        array = StoredArray()
        array.__setstate__((1, shape, dtype, order == "F", data))
        return array


class _Unpickler(pickle.Unpickler):
    known: ClassVar[dict[tuple[str, str], _StandIn]] = {
        ("numpy", "ndarray"): _NdArray(),
        ("numpy", "dtype"): _Dtype(),
        ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
        ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
        ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
        ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    }

    def __init__(self, stream: io.BytesIO, name: str) -> None:
        super().__init__(stream, encoding="bytes")
        self._name = name

    def find_class(self, module: str, name: str) -> Any:
        found = self.known.get((module, name))
        if found is None:
            raise DataRefused(
                f"{self._name} holds Python objects ({module[:80]}.{name[:80]}), which are not opened because they can "
                "run code; replace it by the published file.",
                code="pickled",
            )
        return found


def loads(content: bytes | memoryview, name: str) -> Any:
    """What a pickle holds: numbers, text, bytes, lists, tuples and dictionaries of them, and `StoredArray` objects.

    Text of Python 2 comes as bytes. Nothing is said about how these are nested or what their lengths are.

    Args:
        content: The whole pickle.
        name: What people call the file, for messages.

    Raises:
        DataRefused: Objects of any other kind (code ``pickled``), too long, or damaged.
    """
    if len(content) > MAX_BYTES:
        raise DataRefused(f"{name} has more than {MAX_BYTES >> 20} MiB; use the published file.", code="too-large")
    try:
        return _Unpickler(io.BytesIO(content), name).load()
    except (DataRefused, MemoryError):
        raise
    except Exception as error:  # a damaged pickle raises whatever its operations can raise
        raise damaged(name, error) from None


def numbers(value: Any, name: str) -> np.ndarray:
    """An array of numbers: a `StoredArray` as it was, or a list of whole numbers as int64 of shape (n,).

    Raises:
        DataRefused: It is neither.
    """
    import numpy as np

    try:
        if type(value) is list:
            if not all(type(number) is int for number in value):
                raise ValueError("a list holds other things than whole numbers")
            return np.array(value, dtype=np.int64)
        shape, data = value.shape, value.data
        dtype = np.dtype(value.dtype.code).newbyteorder(value.dtype.order)
        if dtype.kind not in "biuf" or not isinstance(data, bytes | bytearray):
            raise ValueError(f"an array of {dtype} is no array of numbers")
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"shape {shape} does not fit {len(data)} bytes")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if value.fortran else "C")
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise damaged(name, error) from None


def objects(value: Any, name: str) -> list[Any]:
    """The elements of an array of objects of shape (n,). Raises `DataRefused` when it is something else."""
    if not isinstance(value, StoredArray) or type(value.data) is not list or value.shape != (len(value.data),):
        raise damaged(name, "no array of objects")
    return value.data


def damaged(name: str, why: object) -> DataRefused:
    """What is told of a file that is not what it should be."""
    return DataRefused(
        f"{name} is damaged or is another file; remove it, and it is downloaded again.", code="damaged", detail=str(why)
    )


def _text(value: Any) -> str:
    """Short ASCII text, which Python 2 wrote as bytes."""
    text = value.decode("ascii") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise pickle.UnpicklingError("a dtype is not named by text")
    return text
