import os
import socket
import sys

import pytest

from runtime.errors import ImageFileError, OutOfMemory
from runtime.images import read_file
from runtime.images.limits import check_source, sources

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has neither such pipes nor such devices")


def make(kind, folder, monkeypatch):
    path = folder / f"{kind}.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            monkeypatch.chdir(folder)  # the names of sockets are short
            server.bind(path.name)
    else:
        path = "/dev/zero"
    return path


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_is_no_file_is_refused_at_once(kind, linked, tmp_path, monkeypatch):
    path = make(kind, tmp_path, monkeypatch)
    if linked:
        (tmp_path / "link.png").symlink_to(path)
        path = tmp_path / "link.png"
    remedy = "check the path" if kind == "folder" else "give - to read from stdin"
    with pytest.raises(ImageFileError, match=rf"{path}: cannot be read \(it is a {kind}, no file\): {remedy}"):
        read_file(path)


@pytest.mark.parametrize("path", ["a\0b.png", "x" * 5000, "absent.png"])
def test_a_path_that_no_file_has_is_refused(path):
    with pytest.raises(ImageFileError, match=r"cannot be read .*: check the path"):
        read_file(path)


def test_a_file_larger_than_the_memory_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "large.png"
    path.write_bytes(bytes(3000))
    check_source("large.png", os.stat(path))
    monkeypatch.setattr(sources, "available_memory", lambda: 2999)
    with pytest.raises(OutOfMemory, match=r"large\.png: its 0 MiB do not fit into the memory: give a smaller file"):
        read_file(path)
