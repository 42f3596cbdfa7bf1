"""The data sets that Keras publishes: ``keras:mnist``, ``keras:cifar10`` and so on.

Files are those of Keras's own cache, see `keras_cache`; the first use downloads what is missing. The official test part
is the test part, and class numbers are the official ones. Neither Keras nor TensorFlow is imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizers.datasets import keras_cache, keras_files, pickles
from optimizers.datasets.keras_cache import Download, Published
from optimizers.datasets.preparation import NOTHING, Preparation
from optimizers.declarations import Dataset, DatasetOrigin
from optimizers.errors import DataRefused, UnknownName
from optimizers.records import SHARED, DatasetRef, digest_of

PREFIX = "keras"
LOCAL = "local"
VERSION = "1"
"""Raised when the same files start to give other examples; part of the digest."""

_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_TORONTO = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True)
class _KerasSet:
    title: str
    published: Published
    read: keras_files.Read
    source: str
    licence: str = ""


def _one_file(name: str, size_bytes: int, sha256: str) -> Published:
    return Published(("",), {name: f"sha256:{sha256}"}, (Download(f"{_GOOGLE}/{name}", size_bytes, sha256, name),))


def _packed(folder: str, archive: str, size_bytes: int, sha256: str, files: dict[str, str]) -> Published:
    """An archive that Keras 3 unpacks into a folder of its own and older versions did not.

    Digests of the single files are those of ``torchvision.datasets.cifar``.
    """
    download = Download(f"{_TORONTO}/{archive}", size_bytes, sha256, f"{folder}-target_archive", archive=True)
    return Published(
        (f"{folder}-target/{folder}", folder), {name: f"md5:{md5}" for name, md5 in files.items()}, (download,)
    )


# SHA-256: tensorflow_datasets/url_checksums/fashion_mnist.txt; Keras has none.
_FASHION_FILES = {
    "train-labels-idx1-ubyte.gz": (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    "train-images-idx3-ubyte.gz": (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    "t10k-labels-idx1-ubyte.gz": (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    "t10k-images-idx3-ubyte.gz": (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
}
_CIFAR100 = _packed(
    "cifar-100-python",
    "cifar-100-python.tar.gz",
    169_001_437,
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
)
_KRIZHEVSKY = "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images, 2009"
_SETS = {
    "mnist": _KerasSet(
        "MNIST, handwritten digits",
        _one_file("mnist.npz", 11_490_434, "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),
        keras_files.mnist,
        "Y. LeCun, C. Cortes: MNIST",
        "CC BY-SA 3.0",
    ),
    "fashion_mnist": _KerasSet(
        "Fashion-MNIST, clothes",
        Published(
            ("fashion-mnist",),
            {name: f"sha256:{sha256}" for name, (_, sha256) in _FASHION_FILES.items()},
            tuple(
                Download(f"{_GOOGLE}/{name}", size, sha256, f"fashion-mnist/{name}")
                for name, (size, sha256) in _FASHION_FILES.items()
            ),
        ),
        keras_files.fashion_mnist,
        "H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, Zalando, 2017",
        "MIT",
    ),
    "cifar10": _KerasSet(
        "CIFAR-10, photographs of 10 kinds",
        _packed(
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            170_498_071,
            "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            {
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                "test_batch": "40351d587109b95175f43aff81a1287e",
                "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
            },
        ),
        keras_files.cifar10,
        _KRIZHEVSKY,
    ),
    "cifar100": _KerasSet("CIFAR-100, photographs of 100 kinds", _CIFAR100, keras_files.cifar100("fine"), _KRIZHEVSKY),
    "cifar100_coarse": _KerasSet(
        "CIFAR-100 by its 20 groups of kinds", _CIFAR100, keras_files.cifar100("coarse"), _KRIZHEVSKY
    ),
    "imdb": _KerasSet(
        "IMDB, film reviews as word numbers",
        _one_file("imdb.npz", 17_464_789, "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"),
        keras_files.imdb,
        "A. Maas and others: Learning Word Vectors for Sentiment Analysis, 2011",
    ),
}


def names() -> tuple[str, ...]:
    """Names of the data sets."""
    return tuple(_SETS)


def title(name: str) -> str:
    """What a data set is and, where it is not on this machine yet, how much its first use downloads."""
    found = _set(name)
    if not keras_cache.missing(found.published):
        return f"{found.title} (Keras)"
    return f"{found.title} (Keras, {found.published.size_bytes / 1e6:.0f} MB are downloaded when first used)"


def resolve(name: str) -> DatasetRef:
    """The reference; its digest covers the digests of the files, the published ones for files not yet downloaded.

    Files that are not the published ones are somebody's own, and so are results with them.

    Raises:
        UnknownName: Lists the sets there are.
    """
    published = _set(name).published
    found = keras_cache.digests(published)
    digest = digest_of({"set": f"{PREFIX}:{name}", "files": found, "version": VERSION})
    scope = SHARED if found == published.files else LOCAL
    return DatasetRef(uri=f"{PREFIX}:{name}", name=name, digest=digest, scope=scope)


def load(name: str) -> Dataset:
    """The data set, downloaded if need be. Raises `UnknownName` and `DataRefused`."""
    return read(name, NOTHING)


def read(name: str, preparation: Preparation) -> Dataset:
    """The data set; reviews are cut to the preparation's length and vocabulary before they fill an array.

    Raises:
        UnknownName: Lists the sets there are.
        DataRefused: The files cannot be had or read, or the preparation says what is predicted.
    """
    from optimizers.datasets import assembly, previews

    found = _set(name)
    if preparation.reading:
        raise DataRefused(
            f"What is predicted in {PREFIX}:{name} is fixed; leave {' and '.join(preparation.reading)} out.",
            code="bad-preparation",
        )
    raw, classes = found.read(keras_cache.fetch(found.published, f"{PREFIX}:{name}"), preparation)
    data = assembly.assembled(raw, f"{PREFIX}:{name}", Preparation(task="classification"))
    most = len(data.summary.classes)
    if most > len(classes):
        raise pickles.damaged(f"{PREFIX}:{name}", f"{most} classes instead of {len(classes)}")
    others = [
        file for file, digest in keras_cache.digests(found.published).items() if digest != found.published.files[file]
    ]
    notes = data.summary.notes
    if others:
        notes = (
            f"Not the published files but others of these names lie in Keras's cache: {', '.join(others)}.",
            *notes,
        )
    changed = {
        "classes": classes[:most],
        "preview": previews.of_part(data.train, classes[:most]),
        "source": found.source,
        "licence": found.licence,
        "notes": notes,
    }
    return Dataset(data.train, data.validation, data.test, data.summary.model_copy(update=changed))


def _set(name: str) -> _KerasSet:
    if name not in _SETS:
        raise UnknownName(f"There is no data set {PREFIX}:{name}; known are: {', '.join(_SETS)}.")
    return _SETS[name]


ORIGIN = DatasetOrigin(prefix=PREFIX, title="Data sets of Keras", list=names, resolve=resolve, load=load, read=read)
