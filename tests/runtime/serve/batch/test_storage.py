import os

import fsspec
import numpy as np
import pytest

from runtime.errors import ImageFileError, InvalidArgument
from runtime.images import write_file
from runtime.serve.batch import storage

PIXELS = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


@pytest.fixture
def folder(tmp_path):
    """Photographs in two folders, one of them hidden, and what is no photograph."""
    for name in ("a.png", "sub/b.jpg", "sub/deep/c.webp", ".hidden/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        write_file(path, PIXELS)
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "sub" / "a.kernel.png").write_text("a picture of a kernel")
    (tmp_path / "sub" / "a.kernel.npy").write_text("and its values")
    return tmp_path


@pytest.fixture
def store(monkeypatch):
    """An object store in memory."""
    monkeypatch.setattr(storage, "OBJECT_STORES", {"memory"})
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    yield filesystem
    filesystem.store.clear()


def test_paths_and_addresses_are_told_apart():
    assert storage.protocol_of("photos/a.png") is None
    assert storage.protocol_of("S3://bucket/a.png") == "s3"
    assert storage.checked_place("file:///photos/a.png") == "/photos/a.png"
    assert storage.checked_place("a.png") == os.path.abspath("a.png")
    assert storage.checked_place("memory://bucket/in/") == "memory://bucket/in"
    with pytest.raises(InvalidArgument, match="name a protocol that fsspec knows"):
        storage.checked_place("nonsense://bucket")


def test_all_photographs_below_a_folder_are_found(folder):
    found = storage.find_photographs(str(folder))
    assert [name for _, name in found] == ["a.png", "sub/b.jpg", "sub/deep/c.webp"]
    assert all(os.path.samefile(place, folder / name) for place, name in found)


def test_patterns_name_photographs_relative_to_their_fixed_part(folder):
    found = storage.find_photographs(f"{folder}/sub/**/*.*")
    assert [name for _, name in found] == ["b.jpg", "deep/c.webp"]
    assert [name for _, name in storage.find_photographs(f"{folder}/s*/b.jpg")] == ["sub/b.jpg"]


def test_a_single_file_is_taken_whatever_its_suffix(folder):
    assert storage.find_photographs(str(folder / "notes.txt")) == [(str(folder / "notes.txt"), "notes.txt")]


@pytest.mark.parametrize("place", ["none.png", "memory://none/none.png"])
def test_what_is_not_there_is_an_error(store, tmp_path, place):
    place = place if "://" in place else str(tmp_path / place)
    with pytest.raises(ImageFileError, match="there is no such file or folder"):
        storage.find_photographs(place)
    with pytest.raises(ImageFileError, match=r"none.png: cannot be read .*: check the (path|address)"):
        storage.read(place)


def test_an_object_store_is_listed_read_and_written(store):
    for name in ("in/a.png", "in/sub/b.jpg", "in/notes.txt", "in/.hidden/c.png"):
        store.pipe_file(f"/bucket/{name}", b"content")
    found = storage.find_photographs("memory://bucket/in")
    assert found == [("memory:///bucket/in/a.png", "a.png"), ("memory:///bucket/in/sub/b.jpg", "sub/b.jpg")]
    assert storage.find_photographs("memory://bucket/in/sub/*.jpg") == [("memory:///bucket/in/sub/b.jpg", "b.jpg")]
    assert storage.find_photographs("memory://bucket/in/a.png") == [("memory://bucket/in/a.png", "a.png")]
    assert storage.read(found[0][0]) == (b"content", [])
    target = storage.join("memory://bucket/out", "sub/b.jpg")
    assert not storage.exists(target)
    storage.write(target, b"sharp", overwrite=False, sources=[])
    assert storage.exists(target)
    assert storage.read(target)[0] == b"sharp"
    assert storage.names_below("memory://bucket/out") == {"sub/b.jpg"}
    assert storage.names_below("memory://bucket/none") == set()


def test_files_are_written_into_new_folders_and_not_replaced_unasked(tmp_path):
    target = storage.join(str(tmp_path / "out"), "sub/a.png")
    storage.write(target, b"first", overwrite=False, sources=[])
    with pytest.raises(ImageFileError) as caught:
        storage.write(target, b"second", overwrite=False, sources=[])
    assert isinstance(caught.value.__cause__, FileExistsError)
    assert storage.read(target)[0] == b"first"
    storage.write(target, b"third", overwrite=True, sources=[])
    assert storage.read(target)[0] == b"third"
    assert storage.names_below(str(tmp_path / "out")) == {"sub/a.png"}


def test_results_go_only_where_they_appear_complete(tmp_path):
    storage.check_writable(str(tmp_path))
    storage.check_writable("s3://bucket/out")
    with pytest.raises(InvalidArgument, match=r"http://host/out: results are written to folders and to object stores"):
        storage.check_writable("http://host/out")


def test_what_a_library_raises_becomes_one_line(store, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no\ncredentials")

    monkeypatch.setattr(type(store), "cat_file", fail)
    monkeypatch.setattr(type(store), "pipe_file", fail)
    monkeypatch.setattr(type(store), "exists", fail)
    for act in (storage.read, storage.exists, lambda place: storage.write(place, b"", overwrite=True, sources=[])):
        with pytest.raises(ImageFileError, match=r"\(no credentials\): check the address and the credentials"):
            act("memory://bucket/a.png")
