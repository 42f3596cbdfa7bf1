"""Uploads: kept whole, found only by their token, limited in size, forgotten after a week."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from optimizers import uploads
from optimizers.errors import UnknownName, UserError
from optimizers.records import now
from optimizers.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path, upload_mib=1)


def keep(settings, content=b"model", name="my model.keras", kind="model", scope="session:a"):
    return uploads.keep(io.BytesIO(content), name, kind, scope, settings)


def token(uri):
    return uri.partition(":")[2]


def test_an_upload_is_found_by_its_token_only(settings):
    uri = keep(settings)
    path, upload = uploads.find(token(uri), "model", settings)
    assert path.read_bytes() == b"model"
    assert (upload.name, upload.size_bytes, upload.uri) == ("my model.keras", 5, uri)
    for wrong in ("0" * 32, "", "..", "../" + token(uri), token(uri).upper() + "x", "." + token(uri)):
        with pytest.raises(UnknownName, match="upload the file again"):
            uploads.find(wrong, "model", settings)


def test_a_model_is_not_taken_for_data(settings):
    with pytest.raises(UnknownName, match="is a model file, but a data file is needed"):
        uploads.find(token(keep(settings)), "data", settings)


def test_lists_show_a_visitor_their_own_uploads(settings):
    mine, theirs = keep(settings), keep(settings, b"other", scope="session:b")
    assert [u.uri for u in uploads.listed("session:a", settings)] == [mine]
    assert [u.uri for u in uploads.listed("session:b", settings)] == [theirs]
    assert uploads.listed("session:c", settings) == []


def test_the_same_file_is_kept_once_for_one_visitor_and_apart_for_two(settings):
    assert keep(settings) == keep(settings)
    assert keep(settings) != keep(settings, scope="session:b")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\x00b", "<script>", "", "é" * 500])
def test_a_name_is_never_a_path(settings, name):
    path, upload = uploads.find(token(keep(settings, name=name)), "model", settings)
    assert path.parent.parent == settings.uploads
    assert upload.name
    assert not set(upload.name) & set("/\\<>\x00")


def test_empty_and_huge_files_are_refused_and_leave_nothing(settings):
    with pytest.raises(UserError, match="is empty"):
        keep(settings, b"")
    with pytest.raises(UserError, match="larger than 1 MiB"):
        keep(settings, b"x" * (2**20 + 1))
    assert list(settings.uploads.iterdir()) == []


def test_old_uploads_are_forgotten(settings):
    uri = keep(settings)
    assert uploads.expire(settings) == 0
    assert uploads.expire(settings, before=now() + timedelta(seconds=1)) == 1
    with pytest.raises(UnknownName):
        uploads.find(token(uri), "model", settings)


def test_expired_uploads_are_not_given_out_and_go_when_the_next_one_comes(settings, monkeypatch):
    uri = keep(settings)
    monkeypatch.setattr(uploads, "KEPT_FOR", timedelta(seconds=-1))
    with pytest.raises(UnknownName, match=r"has expired; please upload the file again\.$"):
        uploads.find(token(uri), "model", settings)
    keep(settings, b"other")
    assert not (settings.uploads / token(uri)).exists()


def test_a_visitor_has_room_for_so_many_bytes_and_others_have_their_own(tmp_path):
    settings = Settings(home=tmp_path, upload_mib=1, session_mib=1)
    first = keep(settings, b"a" * 600_000)
    with pytest.raises(UserError, match=r"more than 1 MiB together; .+\.$"):
        keep(settings, b"b" * 600_000)
    assert keep(settings, b"a" * 600_000) == first
    assert keep(settings, b"b" * 600_000, scope="session:b")
    assert len(list(settings.uploads.iterdir())) == 2


def test_a_visitor_may_have_so_many_files(settings, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILES", 2)
    keep(settings, b"1"), keep(settings, b"2")
    with pytest.raises(UserError, match="you have 2 uploads"):
        keep(settings, b"3")
    assert keep(settings, b"3", scope="session:b")


def test_what_was_broken_off_while_it_was_written_is_in_nobodys_way(settings):
    draft = settings.uploads / f".{'0' * 32}"
    draft.mkdir(parents=True)
    (draft / uploads.RECORD).touch()
    keep(settings)
    assert uploads.expire(settings, before=now() + timedelta(seconds=1)) == 1


def test_limits_hold_for_files_that_come_at_the_same_time(settings, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILES", 3)

    def one(number):
        try:
            keep(settings, str(number).encode())
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(one, range(8))) == 3
    assert len(uploads.listed("session:a", settings)) == 3


def test_only_arrays_belong_together(settings):
    x, table = io.BytesIO(b"1"), io.BytesIO(b"a,b")
    with pytest.raises(UserError, match=r"Only \.npy arrays belong together; upload t\.csv alone\."):
        uploads.keep_together([(x, "x.npy"), (table, "t.csv")], "mine", settings)
