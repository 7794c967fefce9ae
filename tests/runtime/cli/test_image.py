import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from runtime.cli.image import kernel_picture
from runtime.images import Header, decode, encode, read_file, write_file
from tests.runtime.cli.conftest import KERNEL
from tests.runtime.images.samples import exif_block, icc_profile, random_pixels
from tests.support.models import write_patch_bundle


def test_one_photograph_to_one_file(deblur, opened, photograph, tmp_path):
    result = deblur("image", photograph, "-o", tmp_path / "sharp.tif")
    assert (result.code, result.out, result.err) == (0, b"", "")
    assert np.array_equal(read_file(tmp_path / "sharp.tif")[0], 255 - read_file(photograph)[0])
    assert len(opened) == 1


def test_depth_and_metadata_are_kept(deblur, opened, tmp_path, rng):
    pixels = random_pixels(rng, np.uint16, 3)
    write_file(tmp_path / "in.png", pixels, Header("PNG", icc_profile(), exif_block()))
    assert deblur("image", tmp_path / "in.png", "-o", tmp_path / "out.png").code == 0
    found, header = read_file(tmp_path / "out.png")
    assert np.array_equal(found, 65535 - pixels)
    assert header == Header("PNG", icc_profile(), exif_block())


def test_a_folder_job_goes_on_and_reports_every_failure_at_the_end(deblur, opened, folder, tmp_path):
    out = tmp_path / "new" / "out"
    result = deblur("image", folder, "-o", out)
    assert result.code == 1
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "z.webp"]
    lines = result.err.splitlines()
    assert lines[0] == f"deblur: {folder}/b.JPG: too small: give a larger crop"
    assert lines[1] == f"deblur: {folder}/c.tif: this is no PNG, JPEG, TIFF or WebP image: convert it to one of these"
    assert lines[2] == "deblur: 2 of 4 photographs failed"
    assert len(lines) == 3
    assert len(opened) == 1, "the model is loaded once"


def test_an_unforeseen_error_is_a_failure_of_one_photograph(deblur, opened, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.runtime.cli.conftest.InvalidImage", lambda text: RuntimeError(f"{text}\nand more"))
    result = deblur("image", folder, "-o", tmp_path / "out")
    assert f"{folder}/b.JPG: RuntimeError: too small: give a larger crop and more" in result.err
    assert (tmp_path / "out" / "z.webp").exists()


def test_json_says_one_object_per_photograph(deblur, opened, folder, tmp_path):
    result = deblur("image", folder, "-o", tmp_path / "out", "--json", "--save-kernel")
    reports = [json.loads(line) for line in result.out.splitlines()]
    assert [os.path.basename(report["input"]) for report in reports] == ["a.png", "b.JPG", "c.tif", "z.webp"]
    seconds = reports[0].pop("seconds")
    assert seconds > 0
    assert reports[0] == {
        "input": f"{folder}/a.png",
        "output": f"{tmp_path}/out/a.png",
        "kernel": f"{tmp_path}/out/a.kernel.npy",
        "motion": None,
        "model": "negative",
        "width": 4,
        "height": 5,
        "timings": {"thinking": 0.25},
        "confidence": 0.75,
        "response": "linear",
        "kernel_class": None,
        "code": None,
        "reason": None,
    }
    assert reports[1] == {"input": f"{folder}/b.JPG", "error": f"{folder}/b.JPG: too small: give a larger crop"}


def test_options_reach_the_runtime(deblur, opened, photograph, tmp_path):
    loading = {"model": "mine", "device": "cpu", "precision": "fp16", "batch": 7}
    restoring = {"quality": "best", "stride": 4, "nonblind": "epll", "support": 31, "noise": 0.02, "strength": 0.5}
    restoring |= {"response": 1.8, "content": "text", "variant": "scale-optimised"}
    options = [part for name, value in (loading | restoring).items() for part in (f"--{name}", value)]
    assert deblur("image", photograph, "-o", tmp_path / "out.png", "--no-refine", "--no-neural", *options).code == 0
    assert opened[0].load_options == loading
    assert opened[0].restored == [restoring | {"refine": False, "neural": False}]


def test_a_photograph_that_is_left_as_it_is_has_a_reason(deblur, opened, photograph, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.runtime.cli.conftest.REASON", "there is no blur in it")
    result = deblur("image", photograph, "-o", tmp_path / "out.png")
    assert (result.code, result.err) == (0, f"{photograph} is unchanged: there is no blur in it\n")
    result = deblur("image", photograph, "-o", tmp_path / "out.png", "--overwrite", "--json")
    assert json.loads(result.out)["reason"] == "there is no blur in it"
    assert result.err == ""


def test_nothing_is_replaced_unasked(deblur, opened, photograph):
    before = photograph.read_bytes()
    result = deblur("image", photograph, "-o", photograph)
    assert result.code == 1
    assert "exists: give --overwrite" in result.err
    assert photograph.read_bytes() == before
    assert opened[0].restored == [], "found out before the work"
    assert deblur("image", photograph, "-o", photograph, "--overwrite").code == 0
    assert np.array_equal(read_file(photograph)[0], 255 - decode(before)[0])


def test_the_kernel_is_saved_to_look_at_and_to_compute_with(deblur, opened, photograph, tmp_path):
    assert deblur("image", photograph, "-o", tmp_path / "out.png", "--save-kernel").code == 0
    assert np.array_equal(np.load(tmp_path / "out.kernel.npy"), KERNEL)
    with Image.open(tmp_path / "out.kernel.png") as picture:
        assert picture.size == (255, 255)
        assert picture.getpixel((127, 127)) == 255
        assert picture.getpixel((254, 127)) == 128
    again = deblur("image", photograph, "-o", tmp_path / "new.png", "--save-kernel")
    assert again.code == 0
    (tmp_path / "new.png").unlink()
    assert "new.kernel.png exists" in deblur("image", photograph, "-o", tmp_path / "new.png", "--save-kernel").err


def test_without_a_kernel_none_is_saved(deblur, opened, photograph, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.runtime.cli.conftest.KERNEL", None)
    result = deblur("image", photograph, "-o", tmp_path / "out.png", "--save-kernel")
    assert result.code == 1
    assert "no blur kernel was estimated: leave out --save-kernel" in result.err
    assert (tmp_path / "out.png").exists()
    assert not list(tmp_path.glob("*.kernel.*"))


def test_the_motion_is_saved_to_look_at_and_to_compute_with(deblur, opened, photograph, tmp_path, monkeypatch):
    field = np.dstack([np.full((12, 8), 5.0), np.zeros((12, 8))]).astype(np.float32)
    monkeypatch.setattr("tests.runtime.cli.conftest.MOTION", field)
    result = deblur("image", photograph, "-o", tmp_path / "out.png", "--save-motion", "--json")
    assert result.code == 0
    assert json.loads(result.out)["motion"] == f"{tmp_path}/out.motion.npy"
    assert np.array_equal(np.load(tmp_path / "out.motion.npy"), field)
    with Image.open(tmp_path / "out.motion.png") as picture:
        assert picture.size == (8, 12)
    (tmp_path / "out.png").unlink()
    again = deblur("image", photograph, "-o", tmp_path / "out.png", "--save-motion")
    assert "out.motion.png exists: give --overwrite" in again.err


def test_without_a_motion_none_is_saved(deblur, opened, photograph, tmp_path):
    result = deblur("image", photograph, "-o", tmp_path / "out.png", "--save-motion")
    assert result.code == 1
    assert "give --model eboli" in result.err
    assert not list(tmp_path.glob("*.motion.*"))


def test_kernel_picture_of_a_large_or_an_empty_kernel():
    assert kernel_picture(np.ones((301, 299), np.float32), 256).shape == (301, 299)
    assert not kernel_picture(np.zeros((5, 5), np.float32), 256).any()


def test_stdin_to_stdout(deblur, opened, monkeypatch, rng):
    pixels = random_pixels(rng, np.uint8, 3)
    data = encode(pixels, Header("TIFF", icc_profile()))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    result = deblur("image", "-", "-o", "-")
    assert (result.code, result.err) == (0, "")
    found, header = decode(result.out)
    assert np.array_equal(found, 255 - pixels)
    assert (header.format, header.icc_profile) == ("TIFF", icc_profile())


def test_garbage_on_stdin_prints_nothing_to_stdout(deblur, opened, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"garbage")))
    result = deblur("image", "-", "-o", "-")
    assert (result.code, result.out) == (1, b"")
    assert result.err.startswith("deblur: -: this is no PNG")


def test_an_image_is_not_written_to_a_terminal(deblur, opened, photograph, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    result = deblur("image", photograph, "-o", "-")
    assert result.code == 2
    assert "stdout is a terminal" in result.err


BAD_OUTPUTS = {
    "no such folder": ("absent/out.png", "create it"),
    "a file for a folder": ("file/out.png", "create it"),
    "no folder can be made": ("file/out/", "give another output folder"),
    "no place for files": ("/proc/self/out.png", "not a writable folder"),
    "no suffix": ("out", "name an image file with one of .png"),
    "another suffix": ("out.gif", "name an image file with one of .png"),
}


@pytest.mark.parametrize(("output", "remedy"), BAD_OUTPUTS.values(), ids=BAD_OUTPUTS)
def test_where_nothing_can_be_written_nothing_is(deblur, opened, photograph, tmp_path, output, remedy):
    (tmp_path / "file").write_text("in the way")
    before = sorted(tmp_path.rglob("*"))
    result = deblur("image", photograph, "-o", output if output.startswith("/") else f"{tmp_path}/{output}")
    assert result.code == 1
    assert remedy in result.err
    assert result.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    if not output.startswith("/proc"):
        assert not any(deblurrer.restored for deblurrer in opened), "found out before the work"


BAD_INPUTS = {
    "missing": lambda path: None,
    "text": lambda path: path.write_text("no picture"),
    "empty file": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(
        encode(np.arange(4096, dtype=np.uint8).reshape(64, 64), Header("JPEG"))[:700]
    ),
}


@pytest.mark.parametrize("write", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_input_is_one_line_that_names_it(deblur, opened, tmp_path, write):
    write(tmp_path / "photo.png")
    result = deblur("image", tmp_path / "photo.png", "-o", tmp_path / "out.png")
    assert result.code == 1
    assert result.err.startswith(f"deblur: {tmp_path}/photo.png: ")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_stdout_takes_nothing_beside_the_photograph(deblur, opened, photograph):
    for option in ("--json", "--save-kernel"):
        result = deblur("image", photograph, "-o", "-", option)
        assert (result.code, result.out) == (2, b"")


def test_an_empty_folder_is_wrong_usage(deblur, opened, tmp_path):
    result = deblur("image", tmp_path, "-o", tmp_path / "out")
    assert result.code == 2
    assert "holds no photographs" in result.err


def test_a_real_network_that_changes_nothing_gives_the_photograph_back(deblur, tmp_path, rng):
    write_patch_bundle(tmp_path / "identity", "filters")
    pixels = random_pixels(rng, np.uint16, 4, (40, 50))
    write_file(tmp_path / "in.tif", pixels)
    options = ["--model", tmp_path / "identity", "--nonblind", "none", "--device", "cpu"]
    result = deblur("image", tmp_path / "in.tif", "-o", tmp_path / "out.tif", *options)
    assert (result.code, result.err) == (0, "")
    found, _ = read_file(tmp_path / "out.tif")
    assert np.array_equal(found[..., 3], pixels[..., 3])
    assert np.abs(found.astype(int) - pixels).max() <= 1


def test_a_model_that_restores_bursts_fails_once_not_at_every_photograph(deblur, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        write_file(folder / name, np.zeros((8, 8, 3), np.uint8))
    result = deblur("image", folder, "-o", tmp_path / "out", "--model", "fba", "--device", "cpu")
    assert result.code == 1
    assert result.err.startswith("deblur: fba restores bursts, not one photograph: ")
    assert result.err.count("\n") == 1


def test_what_the_target_cannot_store_is_refused_before_the_work(deblur, opened, tmp_path, rng):
    write_file(tmp_path / "in.png", random_pixels(rng, np.uint8, 4))
    result = deblur("image", tmp_path / "in.png", "-o", tmp_path / "out.jpg")
    assert result.code == 1
    assert "JPEG holds no alpha channel" in result.err
    assert not opened[0].restored
