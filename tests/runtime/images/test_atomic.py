import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.images import atomic
from runtime.images.atomic import discard_unfinished, remove_leftovers, write_atomically

KILLED = """
import os, signal, sys
from runtime.images import atomic
atomic._store = lambda _: os.kill(os.getpid(), signal.SIGKILL)
atomic.write_atomically(sys.argv[1], b"content", overwrite=True)
"""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def status(permissions, group=None):
    return SimpleNamespace(st_mode=stat.S_IFREG | permissions, st_gid=os.getegid() if group is None else group)


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def refuse(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=["links", "no links"])
def hard_links(request, monkeypatch):
    """File systems with and without hard links."""
    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


def test_a_new_file_takes_no_other_files_name(tmp_path, hard_links):
    path = tmp_path / "photo.png"
    write_atomically(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_appears_during_the_write_is_kept(tmp_path, hard_links, monkeypatch):
    path = tmp_path / "photo.png"
    monkeypatch.setattr(atomic, "_store", lambda _: path.write_bytes(b"of another job"))
    with pytest.raises(FileExistsError):
        write_atomically(path, b"mine", overwrite=False)
    assert path.read_bytes() == b"of another job"
    assert list(tmp_path.iterdir()) == [path]


def test_without_leave_a_dangling_link_is_not_followed(tmp_path, hard_links):
    (tmp_path / "link.png").symlink_to(tmp_path / "absent.png")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "link.png", b"mine", overwrite=False)
    assert not (tmp_path / "absent.png").exists()


def test_a_name_that_was_reserved_in_vain_is_free_again(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="not permitted"):
        write_atomically(tmp_path / "photo.png", b"mine", overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_it_works_without_the_locks_of_unix(tmp_path, monkeypatch, overwrite):
    monkeypatch.setattr(atomic, "fcntl", None)
    write_atomically(tmp_path / "photo.png", b"mine", overwrite=overwrite)
    remove_leftovers(tmp_path)
    assert (tmp_path / "photo.png").read_bytes() == b"mine"


@pytest.mark.parametrize("what", ["flock", "fsync"])
def test_a_file_system_that_cannot_lock_or_store_at_once_is_fine(tmp_path, monkeypatch, what):
    def unsupported(*_):
        raise OSError(errno.ENOSYS, "not implemented")

    monkeypatch.setattr(atomic.fcntl if what == "flock" else os, what, unsupported)
    write_atomically(tmp_path / "photo.png", b"mine", overwrite=False)
    assert (tmp_path / "photo.png").read_bytes() == b"mine"


def test_a_disk_that_turns_out_to_be_full_leaves_nothing(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "photo.png", b"mine", overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x" * 251, "\u3042" * 83, "\U0001f4f7" * 62])
def test_the_longest_name_has_room_for_a_temporary_one(tmp_path, name):
    path = tmp_path / f"{name}.png"
    write_atomically(path, b"new", overwrite=False)
    assert path.read_bytes() == b"new"


def test_what_a_killed_process_left_goes_and_what_is_being_written_stays(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "killed.png")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".part"
    foreign = [tmp_path / name for name in (".deblur-other.part", ".photo.png.part", f"{left.name[:-5]}")]
    for path in foreign:
        path.write_bytes(b"of somebody else")
    seen = []

    def look(_):
        remove_leftovers(tmp_path)
        seen.extend(tmp_path.glob(".deblur-*.part"))

    monkeypatch.setattr(atomic, "_store", look)
    write_atomically(tmp_path / "photo.png", b"mine", overwrite=False)
    assert left not in seen
    assert len(seen) == 2, "the one that is being written, and that of somebody else"
    assert sorted(tmp_path.iterdir()) == sorted([*foreign, tmp_path / "photo.png"])


def test_the_leftovers_of_other_users_stay(tmp_path, monkeypatch):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "killed.png")], check=False)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path / "absent")


def test_a_temporary_file_that_is_taken_for_a_leftover_is_written_again(tmp_path, monkeypatch):
    lock, tried = atomic.fcntl.flock, []

    def overtaken(descriptor, flags):
        if not tried:
            tried.extend(tmp_path.iterdir())
            tried[0].unlink()
        lock(descriptor, flags)

    monkeypatch.setattr(atomic.fcntl, "flock", overtaken)
    write_atomically(tmp_path / "photo.png", b"mine", overwrite=False)
    assert (tmp_path / "photo.png").read_bytes() == b"mine"


def test_what_is_unfinished_can_be_discarded(tmp_path, monkeypatch):
    def leave(_):
        assert len(list(tmp_path.iterdir())) == 1
        discard_unfinished()
        assert list(tmp_path.iterdir()) == []
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "_store", leave)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "photo.png", b"mine", overwrite=False)
    discard_unfinished()


@pytest.mark.parametrize(
    ("source", "expected"), [(0o644, 0o644), (0o600, 0o600), (0o400, 0o600), (0o640, 0o640), (0o444, 0o644)]
)
def test_a_new_file_is_no_more_public_than_its_source(tmp_path, usual_umask, source, expected):
    write_atomically(tmp_path / "photo.png", b"", overwrite=False, sources=[status(source)])
    assert mode(tmp_path / "photo.png") == expected


def test_of_several_sources_the_most_private_counts(tmp_path, usual_umask):
    write_atomically(tmp_path / "photo.png", b"", overwrite=True, sources=[status(0o644), status(0o600)])
    assert mode(tmp_path / "photo.png") == 0o600


def test_another_group_has_the_rights_of_others(tmp_path, usual_umask):
    other = os.getegid() + 1
    write_atomically(tmp_path / "photo.png", b"", overwrite=False, sources=[status(0o640, other)])
    assert mode(tmp_path / "photo.png") == 0o600
    write_atomically(tmp_path / "public.png", b"", overwrite=False, sources=[status(0o644, other)])
    assert mode(tmp_path / "public.png") == 0o644


@pytest.mark.parametrize(
    ("old", "source", "expected"),
    [(0o600, 0o644, 0o600), (0o664, 0o644, 0o664), (0o444, 0o644, 0o444), (0o644, 0o600, 0o600)],
)
def test_a_replaced_file_leaves_its_permissions(tmp_path, usual_umask, old, source, expected):
    path = tmp_path / "photo.png"
    path.write_bytes(b"old")
    path.chmod(old)
    write_atomically(path, b"new", overwrite=True, sources=[status(source)])
    assert (path.read_bytes(), mode(path)) == (b"new", expected)


def test_nothing_can_be_read_before_its_permissions_are_right(tmp_path, usual_umask, monkeypatch):
    modes = []
    monkeypatch.setattr(atomic, "_store", lambda _: modes.extend(map(mode, Path(tmp_path).iterdir())))
    write_atomically(tmp_path / "photo.png", b"", overwrite=False, sources=[status(0o600)])
    assert modes == [0o600]
