from __future__ import annotations

import hashlib
import io
import pickle
import re
import subprocess
import sys
import tarfile
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from optimizers.datasets import keras_cache, keras_sets, pickles
from optimizers.datasets.keras_cache import Download, Published
from optimizers.datasets.preparation import Preparation, join
from optimizers.engine import origins
from optimizers.errors import DataRefused, UnknownName
from optimizers.records import SHARED
from tests.datasets import keras_cache_files as files

WRITERS = {
    "mnist": files.mnist,
    "fashion_mnist": files.fashion_mnist,
    "cifar10": files.cifar10,
    "cifar100": files.cifar100,
    "cifar100_coarse": files.cifar100,
    "imdb": files.imdb,
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "datasets"


@pytest.fixture
def offline(monkeypatch):
    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.urlopen", no_network)


def whole(data):
    """All examples that were the training part, in no particular order, as bytes with labels."""
    return sorted(
        (x.tobytes(), int(y))
        for part in (data.train, data.validation)
        for x, y in zip(part.x, part.y, strict=True)
    )  # fmt: skip


def assert_same(data, loaded):
    """The data set has what Keras's loader gives: the test part in order, the rest in train and validation."""
    (x_train, y_train), (x_test, y_test) = loaded
    np.testing.assert_array_equal(data.test.x, x_test)
    np.testing.assert_array_equal(data.test.y, np.reshape(y_test, -1))
    assert whole(data) == sorted((x.tobytes(), int(y)) for x, y in zip(x_train, np.reshape(y_train, -1), strict=True))


# what Keras makes of the same files --------------------------------------------------------------------------------


@pytest.fixture
def keras_datasets(cache, monkeypatch):
    """Keras's own loaders; they take whatever lies in the cache."""
    from keras.src.datasets import cifar, cifar100, fashion_mnist, imdb, mnist

    found = SimpleNamespace(cifar=cifar, cifar100=cifar100, fashion_mnist=fashion_mnist, imdb=imdb, mnist=mnist)

    def cached(fname, origin, cache_subdir="datasets", **_):
        return str(cache.parent / cache_subdir / fname)

    for module in (cifar100, fashion_mnist, imdb, mnist):
        monkeypatch.setattr(module, "get_file", cached)
    return found


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar100"])
def test_images_are_those_of_keras(name, cache, keras_datasets):
    WRITERS[name](cache)
    assert_same(keras_sets.load(name), getattr(keras_datasets, name).load_data())


def test_coarse_labels_are_those_of_keras(cache, keras_datasets):
    files.cifar100(cache)
    data = keras_sets.load("cifar100_coarse")
    assert_same(data, keras_datasets.cifar100.load_data("coarse"))
    assert data.summary.classes == tuple(f"group {n}" for n in range(20))


@pytest.mark.parametrize("inside", ["cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py"])
def test_cifar10_of_both_caches_is_that_of_keras(inside, cache, keras_datasets):
    files.cifar10(cache, inside)
    folder = cache / inside
    batches = [
        keras_datasets.cifar.load_batch(str(folder / name))
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
    ]
    x, y = (np.concatenate(column) for column in zip(*batches[:5], strict=True))
    x_test, y_test = batches[5]
    data = keras_sets.load("cifar10")
    assert_same(data, ((x.transpose(0, 2, 3, 1), y), (x_test.transpose(0, 2, 3, 1), y_test)))
    assert data.summary.classes == files.KINDS
    assert data.summary.input_shape == (32, 32, 3)


@pytest.mark.parametrize(("words", "length"), [(0, 0), (100, 0), (0, 12), (100, 12)])
def test_reviews_are_those_of_keras(words, length, cache, keras_datasets):
    from keras.utils import pad_sequences

    files.imdb(cache)
    data = origins.load_dataset(join("keras:imdb", Preparation(words=words, length=length)))
    (x, y), (x_test, y_test) = keras_datasets.imdb.load_data(num_words=words or None)
    most = length or max(map(len, (*x, *x_test)))
    padded = partial(pad_sequences, maxlen=most)
    assert_same(data, ((padded(x), y), (padded(x_test), y_test)))
    assert data.summary.task == "binary"
    assert data.summary.input_dtype == "int32"
    assert data.summary.classes == ("negative", "positive")


# parts, names, digests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_every_set_has_three_parts_and_tells_that_its_files_are_not_the_published_ones(name, cache, offline):
    WRITERS[name](cache)
    data = keras_sets.load(name)
    before = len(data.train) + len(data.validation)
    assert len(data.validation) == round(0.2 * before)
    assert set(np.unique(data.validation.y)) == set(np.unique(data.train.y))
    assert data.summary.source
    assert data.summary.notes[0].startswith("Not the published files")
    again = keras_sets.load(name)
    np.testing.assert_array_equal(data.train.x, again.train.x)


def test_images_that_are_in_both_parts_are_told(cache):
    files.mnist(cache)
    with np.load(cache / "mnist.npz") as arrays:
        changed = dict(arrays) | {"x_test": np.concatenate([arrays["x_train"][:10], arrays["x_test"][10:]])}
    np.savez(cache / "mnist.npz", **changed)
    assert any("test examples are also in the training part" in note for note in keras_sets.load("mnist").summary.notes)


def test_what_is_predicted_is_fixed_and_scaling_is_not(cache):
    files.mnist(cache)
    assert origins.load_dataset("keras:mnist?scaling=unit").train.x.max() == 1.0
    for query in ("target=price", "task=regression", "labels=ranked"):
        with pytest.raises(DataRefused, match="fixed"):
            origins.load_dataset(f"keras:mnist?{query}")


def test_a_digest_is_that_of_the_published_files_until_others_lie_in_their_place(cache, monkeypatch):
    before = keras_sets.resolve("mnist")
    assert before.scope == SHARED
    files.mnist(cache)
    other = keras_sets.resolve("mnist")
    assert other.digest != before.digest
    assert other.scope != SHARED
    sha256 = hashlib.sha256((cache / "mnist.npz").read_bytes()).hexdigest()
    published = keras_sets._SETS["mnist"].published
    monkeypatch.setitem(published.files, "mnist.npz", f"sha256:{sha256}")
    assert keras_sets.resolve("mnist").scope == SHARED
    assert not any("Not the published" in note for note in keras_sets.load("mnist").summary.notes)


def test_two_label_sets_of_the_same_files_have_two_digests(cache):
    assert keras_sets.resolve("cifar100").digest != keras_sets.resolve("cifar100_coarse").digest


def test_names_and_titles(cache):
    origin = keras_sets.ORIGIN
    assert origin.list() == tuple(WRITERS)
    assert origins.resolve_dataset("keras:imdb?words=100").uri == "keras:imdb?words=100"
    assert "170 MB are downloaded when first used" in keras_sets.title("cifar10")
    files.cifar10(cache)
    assert "downloaded" not in keras_sets.title("cifar10")
    with pytest.raises(UnknownName, match="mnist, fashion_mnist"):
        origin.resolve("emnist")


def test_neither_keras_nor_tensorflow_is_imported(cache):
    files.cifar10(cache)
    program = (
        "import sys; from optimizers.engine import origins; origins.load_dataset('keras:cifar10');"
        "print([name for name in ('keras', 'tf_keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# downloads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WRITERS)
def test_without_network_one_sentence_tells_the_address_and_the_place(name, cache, offline):
    with pytest.raises(DataRefused) as caught:
        keras_sets.load(name)
    assert caught.value.code == "no-download"
    told = r"keras:\w+ is not on this machine and could not be downloaded from https://\S+; check the network, or save "
    assert re.fullmatch(told + r"that file as \S+\.", caught.value.message)
    assert str(cache) in caught.value.message


@pytest.fixture
def server():
    """Serves the bytes in ``files`` and notes where requests begin."""
    served = SimpleNamespace(files={}, starts=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = served.files[self.path]
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            served.starts.append(start)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:])

        def log_message(self, *_):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    served.address = f"http://127.0.0.1:{http.server_port}"
    yield served
    http.shutdown()
    http.server_close()


def published(server, content, name="a.bin"):
    sha256 = hashlib.sha256(content).hexdigest()
    server.files[f"/{name}"] = content
    download = Download(f"{server.address}/{name}", len(content), sha256, name)
    return Published(("",), {name: f"sha256:{sha256}"}, (download,))


def test_a_download_is_kept_and_not_repeated(cache, server):
    wanted = published(server, b"x" * 3_000_000)
    for _ in range(2):
        assert keras_cache.fetch(wanted, "keras:a")["a.bin"].read_bytes() == b"x" * 3_000_000
    assert server.starts == [0]
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == ["a.bin"]


def test_an_interrupted_download_is_continued(cache, server):
    wanted = published(server, bytes(range(250)) * 100)
    cache.mkdir()
    (cache / ".a.bin.part").write_bytes((bytes(range(250)) * 100)[:999])
    keras_cache.fetch(wanted, "keras:a")
    assert server.starts == [999]


@pytest.mark.parametrize("sent", [b"y" * 100, b"x" * 99, b"x" * 5_000_000])
def test_another_file_than_the_published_one_is_not_kept(sent, cache, server):
    wanted = published(server, b"x" * 100)
    server.files["/a.bin"] = sent
    with pytest.raises(DataRefused) as caught:
        keras_cache.fetch(wanted, "keras:a")
    assert caught.value.code == "wrong-download"
    assert [path.name for path in cache.iterdir() if path.suffix != ".lock"] == []


def test_threads_that_want_the_same_file_download_it_once(cache, server):
    wanted = published(server, b"x" * 2_000_000)
    threads = [threading.Thread(target=keras_cache.fetch, args=(wanted, "keras:a")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.starts == [0]
    assert keras_cache.missing(wanted) == []


def test_an_archive_is_unpacked_beside_what_is_there_and_nowhere_else(cache, server, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in (("b/one", b"1"), ("b/two", b"2"), ("../evil", b"!"), ("b/other", b"3")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    content = packed.getvalue()
    server.files["/b.tar.gz"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    download = Download(f"{server.address}/b.tar.gz", len(content), sha256, "b-target_archive", archive=True)
    digests = {name: f"md5:{hashlib.md5(text).hexdigest()}" for name, text in (("one", b"1"), ("two", b"2"))}
    wanted = Published(("b-target/b", "b"), digests, (download,))
    (cache / "b-target/b").mkdir(parents=True)
    (cache / "b-target/b/one").write_bytes(b"mine")
    found = keras_cache.fetch(wanted, "keras:b")
    assert [path.read_bytes() for path in found.values()] == [b"mine", b"2"]
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in there if not name.endswith(".lock")} == {
        "datasets/b-target_archive", "datasets/b-target/b/one", "datasets/b-target/b/two",
    }  # fmt: skip
    assert keras_cache.digests(wanted)["one"].startswith("sha256:")
    assert keras_cache.digests(wanted)["two"] == wanted.files["two"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch, server):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(DataRefused, match="KERAS_HOME") as caught:
        keras_cache.fetch(published(server, b"x"), "keras:a")
    assert caught.value.code == "cache-unwritable"


# strangers' pickles ------------------------------------------------------------------------------------------------


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something_is_refused_and_does_not(protocol, cache, tmp_path):
    files.cifar10(cache)
    files.imdb(cache)
    marker = tmp_path / "marker"
    hostile = {b"data": Hostile(marker), b"labels": [0]}
    (cache / "cifar-10-batches-py-target/cifar-10-batches-py/data_batch_3").write_bytes(pickle.dumps(hostile, protocol))
    reviews = np.empty(60, object)
    reviews[:] = [Hostile(marker)] * 60
    np.savez(cache / "imdb.npz", x_train=reviews, y_train=np.zeros(60), x_test=reviews, y_test=np.zeros(60))
    for name in ("cifar10", "imdb"):
        with pytest.raises(DataRefused) as caught:
            keras_sets.load(name)
        assert caught.value.code == "pickled"
    assert not marker.exists()


@pytest.mark.parametrize("call", [b"cbuiltins\neval\n(S'1'\ntR.", b"(S'1'\nibuiltins\neval\n.",
                                  b"(cos\nsystem\nS'true'\no.", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01a\x85R.",
                                  b"cnumpy\nload\n.", b"cnumpy.core.multiarray\nscalar\n."])  # fmt: skip
def test_no_other_name_is_found(call):
    with pytest.raises(DataRefused) as caught:
        pickles.loads(call, "a file")
    assert caught.value.code == "pickled"


@pytest.mark.parametrize("content", [b"", b"\x80\x05", b"garbage", b"cnumpy\ndtype\n}S'__class__'\nNsb.", b"Pid\n.",
                                     b"cnumpy\nndarray\n(tR.", b"\x82\x01."])  # fmt: skip
def test_a_damaged_pickle_is_told_in_a_sentence(content):
    with pytest.raises(DataRefused) as caught:
        pickles.loads(content, "a file")
    assert caught.value.code == "damaged"


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("array", [
    np.arange(12, dtype=np.uint8).reshape(3, 4), np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(4, dtype=">i2"), np.array([True, False]), np.zeros((0, 3), np.float32),
], ids=str)  # fmt: skip
def test_arrays_come_out_as_they_went_in(array, protocol):
    if protocol == 2:
        stream = io.BytesIO()
        files.Python2Pickler(stream).dump(array)
        stored = stream.getvalue()
    else:
        stored = pickle.dumps(array, protocol)
    found = pickles.numbers(pickles.loads(stored, "a file"), "a file")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@pytest.mark.parametrize("value", [None, "text", b"bytes", {}, [1, "2"], [1.5], [[1]], [1 << 80], (1, 2),
                                   np.array(["a"]), np.array([None]), np.zeros(3, "i4,f4")])  # fmt: skip
def test_what_is_no_array_of_numbers_is_refused(value):
    found = pickles.loads(pickle.dumps(value), "a file")
    with pytest.raises(DataRefused) as caught:
        pickles.numbers(found, "a file")
    assert caught.value.code == "damaged"


def test_shapes_that_do_not_fit_are_refused():
    for shape in ((10**9, 10**9), (-1, -12), (5,), ("3", 4), None, 3):
        array = pickles.StoredArray()
        array.__setstate__((1, shape, pickles._StoredDtype("u1"), False, bytes(12)))
        with pytest.raises(DataRefused):
            pickles.numbers(array, "a file")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100", "imdb"])
def test_files_cut_short_are_refused_in_a_sentence(name, cache):
    WRITERS[name](cache)
    for path in keras_cache.places(keras_sets._SETS[name].published).values():
        content = path.read_bytes()
        for share in (0.0, 0.1, 0.5, 0.9, 0.999):
            path.write_bytes(content[: int(share * len(content))])
            with pytest.raises(DataRefused) as caught:
                keras_sets.read(name, Preparation())
            assert caught.value.message.endswith(".")
        path.write_bytes(content)


@pytest.mark.parametrize("review", [[1, -5], [2**31], [1.5], ["word"], "text", [[1]], None])
def test_reviews_of_anything_but_word_numbers_are_refused(review, cache):
    reviews = np.empty(30, object)
    reviews[:] = [[1, 2, 3]] * 29 + [[4]]
    reviews[29] = review
    cache.mkdir(parents=True)
    labels = np.arange(30) % 2
    np.savez(cache / "imdb.npz", x_train=reviews, y_train=labels, x_test=reviews, y_test=labels)
    with pytest.raises(DataRefused) as caught:
        keras_sets.load("imdb")
    assert caught.value.code == "damaged"


def test_reviews_that_would_fill_too_much_memory_are_refused_unless_cut(cache, monkeypatch):
    files.imdb(cache)
    monkeypatch.setattr("optimizers.datasets.keras_files.MAX_BYTES", 80 * 4 * 10)
    with pytest.raises(DataRefused, match="give a smaller length"):
        keras_sets.load("imdb")
    assert keras_sets.read("imdb", Preparation(length=10)).summary.input_shape == (10,)
