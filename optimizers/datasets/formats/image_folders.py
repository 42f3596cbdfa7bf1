"""Images in one folder per class, packed into a ZIP file or lying in a folder on this machine.

``cats/1.png``, ``dogs/2.jpg``, or with parts: ``train/cats/1.png``, ``test/dogs/2.jpg``. Classes are numbered in
alphabetical order, as ``keras.utils.image_dataset_from_directory`` does. Images without folders have no labels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from optimizers.datasets import members
from optimizers.datasets.members import PARTS, Members
from optimizers.declarations import DataFormat, RawData, RawPart
from optimizers.errors import DataRefused

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from optimizers.datasets.preparation import Preparation

MAX_BYTES = 1 << 30
"""Most bytes that all decoded images may take up; dividing them into parts takes as many again."""

MAX_PIXELS = 50_000_000
MAX_MEMBER_BYTES = 100 << 20
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm")
_DECODERS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")
_GREY = frozenset({"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"})
_TRANSPARENT = frozenset({"LA", "RGBA", "PA", "La", "RGBa"})


@dataclass(frozen=True)
class _Found:
    """An image file: its name, part and class."""

    member: str
    part: str
    label: str


def is_images(path: Path, start: bytes) -> bool:
    """Whether there are image files inside."""
    packed = path.is_dir() or start.startswith(members.ZIP_STARTS)
    return packed and any(_is_image(member) for member in members.names_in(path))


def read(path: Path, name: str, preparation: Preparation) -> RawData:
    """The images as uint8 of shape (n, height, width) where all are grey, else (n, height, width, 3).

    The preparation's size and channels are heeded while reading, so that images of many sizes take little memory.

    Raises:
        DataRefused: Damaged images, sizes that differ though none was chosen, too many pixels, odd folders.
    """
    import numpy as np

    if preparation.target:
        raise DataRefused(f"{name} holds images, not columns; leave target out.", code="no-column")
    with members.opened(path, name) as inside:
        found, notes = _arranged(inside, name)
        sizes, modes = zip(*(_header(inside, image.member, name) for image in found), strict=True)
        width, height = _common_size(sizes, preparation, name)
        grey = set(modes) <= _GREY if preparation.channels == "as_is" else preparation.channels == "grey"
        shape = (height, width) if grey else (height, width, 3)
        if len(found) * int(np.prod(shape)) > MAX_BYTES:
            raise DataRefused(
                f"The {len(found):,} images of {name} take more than {MAX_BYTES >> 30} GiB at {width} x {height} "
                "pixels; choose a smaller size or use fewer images.",
                code="too-large",
            )
        x = np.empty((len(found), *shape), np.uint8)
        for number, image in enumerate(found):
            x[number] = _pixels(inside, image.member, (width, height), grey, name)
    if len(set(sizes)) > 1 or sizes[0] != (width, height):
        notes = (*notes, f"Images were resized to {height} x {width} pixels.")
    if not _TRANSPARENT.isdisjoint(modes):
        notes = (*notes, "The transparency of images was left out.")
    labels = np.array([image.label for image in found]) if any(image.label for image in found) else None
    belongs = np.array([image.part for image in found])
    parts = {
        part: RawPart(x[belongs == part], None if labels is None else labels[belongs == part], f"the {part} part")
        for part in ("train", "validation", "test")
        if (belongs == part).any()
    }
    return RawData(parts, f"the class folders of {name}", notes)


def _arranged(inside: Members, name: str) -> tuple[list[_Found], tuple[str, ...]]:
    """The images with part and class as their folders tell, and what was left out."""
    images = [member for member in inside.sizes if _is_image(member)]
    notes: tuple[str, ...] = ()
    others = len(inside.sizes) - len(images)
    if others:
        notes = (f"{others} file{'s that are no images were' if others > 1 else ' that is no image was'} left out.",)
    folders = {member: PurePosixPath(member).parts[:-1] for member in images}
    shared = _shared(list(folders.values()))
    inner = {member: parts[shared:] for member, parts in folders.items()}
    if all(parts and parts[0].lower() in PARTS for parts in inner.values()):
        found = [_Found(m, PARTS[parts[0].lower()], parts[1] if len(parts) > 1 else "") for m, parts in inner.items()]
    else:
        found = [_Found(member, "train", parts[0] if parts else "") for member, parts in inner.items()]
    if "train" not in {image.part for image in found}:
        raise DataRefused(f"{name} has no train folder; add one.", code="no-examples")
    labelled = [image for image in found if image.label]
    if labelled and len(labelled) < len(found):
        stray = next(image.member for image in found if not image.label)
        raise DataRefused(
            f"{stray!r} in {name} lies in no class folder, though others do; move it into one or remove it.",
            code="no-labels",
        )
    return found, notes


def _shared(folders: list[tuple[str, ...]]) -> int:
    """How many folders all images lie in together; the last one of these says nothing about class or part."""
    depth = 0
    while all(len(parts) > depth and parts[depth] == folders[0][depth] for parts in folders):
        depth += 1
    return depth


def _header(inside: Members, member: str, name: str) -> tuple[tuple[int, int], str]:
    """Width and height, and mode, without decoding."""
    if inside.sizes[member] > MAX_MEMBER_BYTES:
        raise DataRefused(
            f"{member!r} in {name} has more than {MAX_MEMBER_BYTES >> 20} MiB; make it smaller.", code="too-large"
        )
    image = _open(inside.read(member), member, name)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataRefused(
            f"{member!r} in {name} has {width} x {height} pixels, more than {MAX_PIXELS // 10**6} million; make it "
            "smaller.",
            code="too-large",
        )
    return (width, height), image.mode


def _open(content: BytesIO, member: str, name: str) -> Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(content, formats=_DECODERS)
    except MemoryError:
        raise
    except Exception as error:  # decoders raise whatever odd bytes lead them to
        raise _unreadable(member, name, error) from None


def _common_size(sizes: tuple[tuple[int, int], ...], preparation: Preparation, name: str) -> tuple[int, int]:
    if preparation.height:
        return preparation.width, preparation.height
    if len(set(sizes)) > 1:
        low, high = min(sizes), max(sizes)
        raise DataRefused(
            f"The images of {name} differ in size, from {low[0]} x {low[1]} to {high[0]} x {high[1]} pixels; choose "
            "height and width of the model's input.",
            code="sizes-differ",
        )
    return sizes[0]


def _pixels(inside: Members, member: str, size: tuple[int, int], grey: bool, name: str) -> np.ndarray:
    """uint8 of shape (height, width) or (height, width, 3)."""
    import numpy as np
    from PIL import Image

    image = _open(inside.read(member), member, name)
    try:
        if image.mode.startswith("I"):  # 16 bits
            image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
        image = image.convert("L" if grey else "RGB")
        if image.size != size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        return np.asarray(image, np.uint8)
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise _unreadable(member, name, error) from None


def _unreadable(member: str, name: str, why: object) -> DataRefused:
    return DataRefused(
        f"{member!r} in {name} is not a readable image; save it as PNG or JPEG, or remove it.",
        code="damaged",
        detail=str(why),
    )


def _is_image(member: str) -> bool:
    return member.lower().endswith(ENDINGS)


FORMAT = DataFormat(
    name="images", title="Images in class folders (ZIP)", endings=("zip",), rank=20, recognises=is_images, read=read
)
