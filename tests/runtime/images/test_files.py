import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.errors import DeblurError, ImageFileError, InvalidArgument, InvalidImage, OutOfMemory
from runtime.images import SUFFIXES, Header, format_of, open_image, read_bytes, read_file, write_bytes, write_file
from tests.runtime.images.samples import exif_block, icc_profile, random_pixels, smooth_pixels, tags


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_suffix_names_the_format(suffix, tmp_path):
    path = tmp_path / f"photo{suffix.upper()}"
    write_file(path, smooth_pixels())
    with Image.open(path) as image:
        assert image.format == format_of(path) == SUFFIXES[suffix]
    assert read_file(path)[1].format == SUFFIXES[suffix]


@pytest.mark.parametrize("name", ["photo", "photo.gif", "photo.png.txt", ".png"])
def test_another_suffix_is_refused(name, tmp_path):
    with pytest.raises(InvalidArgument, match=r"\.png, \.jpg"):
        write_file(tmp_path / name, smooth_pixels())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_profile_and_exif_survive_the_round_trip(suffix, dtype, rng, tmp_path):
    pixels = random_pixels(rng, dtype, 3)
    write_file(tmp_path / f"in{suffix}", pixels, Header("JPEG", icc_profile(), exif_block()))
    found, header = read_file(tmp_path / f"in{suffix}")
    write_file(tmp_path / f"out{suffix}", found, header)
    again, header = read_file(str(tmp_path / f"out{suffix}"))
    assert again.dtype == dtype
    assert np.array_equal(again, pixels)
    assert header.icc_profile == icc_profile()
    assert tags(header.exif).items() >= {k: v for k, v in tags(exif_block()).items() if k != 0x0112}.items()


def test_the_content_tells_the_format_not_the_name(tmp_path):
    write_file(tmp_path / "photo.jpg", smooth_pixels())
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.png")
    assert read_file(tmp_path / "photo.png")[1].format == "JPEG"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_is_named(suffix, rng, tmp_path):
    path = tmp_path / f"photo{suffix}"
    write_file(path, random_pixels(rng, np.uint8, 3, (64, 64)))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InvalidImage, match=rf"{path}: .*intact copy"):
        read_file(path)


def test_a_text_file_named_png_is_named(tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    with pytest.raises(InvalidImage, match=r"notes\.png: this is no PNG, JPEG, TIFF or WebP image: convert it"):
        read_file(tmp_path / "notes.png")


@pytest.mark.parametrize("path", ["absent.png", "."])
def test_what_cannot_be_read_is_named(path, tmp_path):
    with pytest.raises(ImageFileError, match=r"cannot be read .*: check the path"):
        read_file(tmp_path / path)


UNWRITABLE = ["absent/photo.png", "file/photo.png", "folder.png", "/proc/self/photo.png"]


@pytest.mark.parametrize("path", UNWRITABLE)
def test_where_nothing_can_be_written_nothing_is(path, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ImageFileError, match=r"cannot be written .*: check that its folder") as caught:
        write_file(tmp_path / path, smooth_pixels())
    assert isinstance(caught.value, OSError)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_format_cannot_hold_is_named(tmp_path):
    with pytest.raises(InvalidImage, match=r"photo\.jpg: JPEG holds no alpha") as caught:
        write_file(tmp_path / "photo.jpg", np.zeros((4, 5, 4), np.uint8))
    assert isinstance(caught.value, DeblurError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_the_old_file_whole(interruption, tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(b"old")

    def interrupt(source, target):
        assert Path(source).read_bytes() == b"new"
        raise interruption

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(interruption):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    write_bytes(tmp_path / "photo.png", b"")
    assert stat.S_IMODE((tmp_path / "photo.png").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "target.png")
    write_bytes(tmp_path / "link.png", b"new")
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "target.png").read_bytes() == b"new"


def test_what_may_not_be_replaced_is_kept(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(b"old")
    with pytest.raises(ImageFileError, match=r"photo\.png exists: give --overwrite") as caught:
        write_file(path, smooth_pixels(), overwrite=False)
    assert isinstance(caught.value.__cause__, FileExistsError)
    assert path.read_bytes() == b"old"


def test_a_private_photograph_stays_private(tmp_path):
    write_file(tmp_path / "photo.png", smooth_pixels())
    (tmp_path / "photo.png").chmod(0o600)
    data, status = read_bytes(tmp_path / "photo.png")
    assert data == (tmp_path / "photo.png").read_bytes()
    write_file(tmp_path / "result.png", smooth_pixels(), sources=[status])
    assert stat.S_IMODE((tmp_path / "result.png").stat().st_mode) == 0o600


@pytest.fixture
def another_user():
    """The rights of a user who owns nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("closed", ["photo.png", "."])
def test_what_another_user_may_not_read_or_write_names_the_permissions(tmp_path, request, closed):
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    write_file(tmp_path / "photo.png", smooth_pixels())
    (tmp_path / closed).chmod(0o700)
    request.getfixturevalue("another_user")
    with pytest.raises(ImageFileError, match=r"photo.png: cannot be read \(Permission denied\): check its permissions"):
        read_file(tmp_path / "photo.png")
    with pytest.raises(ImageFileError, match=r"cannot be written \(Permission denied\): check .* is writable"):
        write_file(tmp_path / "result.png", smooth_pixels())


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "photo.png")
    with pytest.raises(ImageFileError, match=r"photo\.png: .* \(it is a pipe, no file\): give - to read from stdin"):
        read_file(tmp_path / "photo.png")
    with pytest.raises(ImageFileError, match=r"/dev/zero: .* \(it is a device, no file\)"):
        read_file("/dev/zero")


@pytest.mark.parametrize("path", ["photo\0.png", "photo\ud800.png", f"{'x' * 300}.png"])
def test_a_name_that_no_file_can_have_is_an_error_like_others(path, tmp_path):
    with pytest.raises(ImageFileError, match="cannot be read"):
        read_file(f"{tmp_path}/{path}")
    with pytest.raises(ImageFileError, match="cannot be written"):
        write_file(f"{tmp_path}/{path}", smooth_pixels())


def test_a_file_larger_than_the_memory_says_so(tmp_path, monkeypatch):
    def too_large(*_, **__):
        raise MemoryError

    (tmp_path / "photo.png").touch()
    monkeypatch.setattr("runtime.images.files.open", too_large, raising=False)
    with pytest.raises(OutOfMemory, match=r"photo\.png: the file does not fit into memory: give a smaller one"):
        read_file(tmp_path / "photo.png")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_that_runs_out_while_a_file_is_decoded_or_encoded_says_so(suffix, tmp_path, monkeypatch):
    def too_large(*_, **__):
        raise MemoryError

    path = tmp_path / f"photo{suffix}"
    write_file(path, smooth_pixels())
    for name in ("pillow.decode", "pillow.encode", "tiff.decode", "tiff.encode"):
        monkeypatch.setattr(f"runtime.images.{name}", too_large)
    with pytest.raises(OutOfMemory, match=rf"{path}: the memory is too small to read the .* image: give parts of it"):
        read_file(path)
    with pytest.raises(OutOfMemory, match=rf"{path}: the memory is too small to write a .* image: give parts of it"):
        write_file(path, smooth_pixels())


def test_the_longest_name_can_be_written(tmp_path):
    path = tmp_path / f"{'x' * 251}.png"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.data
@pytest.mark.parametrize("folder", ["lai2016/real", "sharp_cid22_val"])
def test_real_photographs_are_read_as_pillow_reads_them_and_come_back(folder, data_root, tmp_path):
    paths = sorted(path for path in (data_root / "eval" / folder).iterdir() if path.suffix in SUFFIXES)
    assert paths
    for path in paths[:4]:
        pixels, header = read_file(path)
        with Image.open(path) as image:
            assert np.array_equal(pixels, np.asarray(image))
            assert header.icc_profile == image.info.get("icc_profile")
        planes, frame = open_image(pixels)
        write_file(tmp_path / "out.png", frame.close(planes), header)
        again, kept = read_file(tmp_path / "out.png")
        assert np.array_equal(again, pixels)
        assert kept.icc_profile == header.icc_profile
