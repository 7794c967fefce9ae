import json
import os
import sys

import numpy as np
import pytest
from skimage.data import chelsea

from runtime import deblurrer as module
from runtime.cli.burst import weights_picture
from runtime.images import Header, decode, read_file, write_file
from tests.runtime.images.samples import exif_block, icc_profile
from tests.support.bursts import pixels_of, scene, shaken


@pytest.fixture
def folder(tmp_path):
    """A burst of four frames, the third with metadata, and a file that is not an image."""
    path = tmp_path / "burst"
    path.mkdir()
    for number, frame in enumerate(shaken(scene(), 4)):
        header = Header("PNG", icc_profile(), exif_block()) if number == 2 else Header("PNG")
        write_file(path / f"frame{number}.png", pixels_of(frame), header)
    (path / "notes.txt").write_text("no frame")
    return path


@pytest.fixture
def seen(monkeypatch):
    """The options that were passed to the runtime, which runs as usual."""
    reached = []

    class Recorder(module.Deblurrer):
        def __init__(self, **options):
            reached.append(options)
            super().__init__(model="fba", device="cpu")

        def restore_burst(self, frames, progress, **options):
            reached.append(options)
            return super().restore_burst(frames, register=False, progress=progress)

    monkeypatch.setattr(module, "Deblurrer", Recorder)
    return reached


def test_a_folder_of_frames_becomes_one_photograph(deblur, folder, tmp_path):
    result = deblur("burst", folder, "-o", tmp_path / "sharp.png", "--device", "cpu", "--reference", 2)
    assert (result.code, result.out, result.err) == (0, b"", "")
    pixels, header = read_file(tmp_path / "sharp.png")
    paths = sorted(folder.glob("*.png"))
    expected = module.Deblurrer(model="fba", device="cpu").restore_burst(paths, reference=2).image
    np.testing.assert_array_equal(pixels, expected)
    assert header == Header("PNG", icc_profile(), exif_block()), "metadata are those of the reference"


def test_files_in_the_order_given_and_json(deblur, folder, tmp_path):
    paths = [str(folder / f"frame{number}.png") for number in (3, 1, 0)]
    result = deblur("burst", *paths, "-o", tmp_path / "sharp.tif", "--no-register", "--device", "cpu", "--json")
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    assert report.pop("seconds") > 0
    assert set(report.pop("timings")) == {"read", "compose", "fuse"}
    assert report == {
        "output": f"{tmp_path}/sharp.tif",
        "weights": None,
        "model": "fba",
        "width": 240,
        "height": 180,
        "reference": paths[0],
        "frames": paths,
        "left_out": [],
    }


def test_options_reach_the_runtime(deblur, folder, tmp_path, seen):
    loading = {"model": "mine", "device": "cpu", "precision": "fp16", "batch": 7}
    restoring = {"reference": 1, "p": 30.0, "patch": 99, "stride": 4, "smoothing": 0.1, "chroma": "fba"}
    options = [part for name, value in (loading | restoring).items() for part in (f"--{name}", value)]
    assert deblur("burst", folder, "-o", tmp_path / "out.png", "--no-register", *options).code == 0
    assert seen == [loading, restoring | {"register": False}]


def test_a_frame_that_is_left_out_is_named_on_stderr(deblur, folder, tmp_path):
    write_file(folder / "intruder.png", np.ascontiguousarray(chelsea()[:180, :240]))
    result = deblur("burst", folder, "-o", tmp_path / "sharp.png", "--device", "cpu", "--json")
    assert result.code == 0
    assert result.err.startswith(
        f"deblur: frame 4 ({folder}/intruder.png) is left out: it cannot be aligned with frame"
    )
    assert result.err.count("\n") == 1
    report = json.loads(result.out)
    assert report["left_out"] == [f"{folder}/intruder.png"]
    assert len(report["frames"]) == 4


def test_a_frame_that_cannot_be_read_ends_the_job(deblur, folder, tmp_path):
    (folder / "broken.jpg").write_text("no picture")
    before = (tmp_path / "sharp.png").write_bytes(b"as it was")
    result = deblur("burst", folder, "-o", tmp_path / "sharp.png", "--overwrite", "--device", "cpu")
    assert result.code == 1
    assert result.err.startswith(f"deblur: frame 0: {folder}/broken.jpg: this is no PNG")
    assert result.err.count("\n") == 1
    assert (tmp_path / "sharp.png").stat().st_size == before


def test_a_result_among_the_frames_is_never_a_frame(deblur, folder):
    out, weights = folder / "a sharp.png", folder / "weights.png"
    arguments = ["burst", folder, "-o", out, "--save-weights", weights, "--device", "cpu", "--no-register", "--json"]
    first = deblur(*arguments)
    assert f"deblur: {out} lies among the frames: later bursts leave it out" in first.err
    content = out.read_bytes(), weights.read_bytes()
    second = deblur(*arguments, "--overwrite")
    assert (first.code, second.code) == (0, 0)
    assert f"deblur: {out} is left out of the frames: it is the output" in second.err
    reports = [json.loads(result.out) for result in (first, second)]
    for name in ("frames", "reference", "left_out"):
        assert reports[0][name] == reports[1][name]
    assert (out.read_bytes(), weights.read_bytes()) == content
    again = deblur("burst", *sorted(folder.glob("*.png")), *arguments[2:], "--overwrite")
    assert json.loads(again.out)["frames"] == reports[0]["frames"]
    # Nor under another output; weights neither.
    other = deblur("burst", folder, "-o", folder / "b.png", "--device", "cpu", "--no-register", "--json")
    assert f"deblur: {out} is left out of the frames: a burst has written it" in other.err
    assert f"deblur: {weights} is left out of the frames: a burst has written it" in other.err
    assert json.loads(other.out)["frames"] == reports[0]["frames"]


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
def test_a_frame_of_no_numbers_is_named(deblur, tmp_path, pixel):
    frames = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for path, value in zip(frames, (0.5, pixel), strict=True):
        write_file(path, np.full((80, 90), value, np.float32))
    result = deblur("burst", *frames, "-o", tmp_path / "out.tif", "--device", "cpu")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert result.err.startswith(f"deblur: frame 1: {frames[1]}: the image holds NaN")


def test_a_frame_that_does_not_fit_into_memory_is_named(deblur, folder, tmp_path, monkeypatch):
    def too_large(path):
        raise MemoryError

    monkeypatch.setattr("runtime.burst.frames.read_file", too_large)
    result = deblur("burst", folder, "-o", tmp_path / "out.png", "--device", "cpu")
    assert result.code == 1
    assert result.err == f"deblur: frame 0: {folder}/frame0.png: it does not fit into memory: give smaller frames\n"


def test_companion_files_are_no_frames(deblur, folder, tmp_path):
    (folder / "._frame0.png").write_bytes(b"\x00\x05\x16\x07")
    (folder / "empty.png").touch()
    paths = sorted(folder.glob("*.png"))
    assert len(paths) == 6
    options = ["-o", tmp_path / "out.png", "--overwrite", "--device", "cpu", "--no-register", "--json"]
    for inputs in ([folder], [path for path in paths if path.name != "empty.png"]):
        result = deblur("burst", *inputs, *options)
        assert result.code == 0
        assert len(json.loads(result.out)["frames"]) == 4


def test_a_reference_that_vanishes_costs_its_metadata_alone(deblur, folder, tmp_path, monkeypatch):
    restore = module.Deblurrer.restore_burst

    def vanishing(self, frames, **options):
        result = restore(self, frames, **options)
        (folder / "frame2.png").unlink()
        return result

    monkeypatch.setattr(module.Deblurrer, "restore_burst", vanishing)
    options = ["--device", "cpu", "--no-register", "--reference", 2]
    result = deblur("burst", folder, "-o", tmp_path / "out.png", *options)
    assert (result.code, result.err.count("\n")) == (0, 1)
    assert "the result has no metadata" in result.err
    assert read_file(tmp_path / "out.png")[0].shape == (180, 240, 3)


def test_private_frames_give_a_private_photograph(deblur, folder, tmp_path):
    (folder / "frame1.png").chmod(0o600)
    out = tmp_path / "out.png"
    assert deblur("burst", folder, "-o", out, "--device", "cpu", "--no-register").code == 0
    assert out.stat().st_mode & 0o777 == 0o600


def test_weights_are_saved_to_look_at(deblur, folder, tmp_path):
    weights = tmp_path / "weights.png"
    arguments = ["burst", folder, "-o", tmp_path / "out.png", "--device", "cpu", "--save-weights", weights]
    assert deblur(*arguments).code == 0
    picture, _ = read_file(weights)
    assert picture.shape == (180 + 4 * 22, 241, 3)
    assert len(np.unique(picture[:180].reshape(-1, 3), axis=0)) > 100
    (tmp_path / "out.png").unlink()
    result = deblur(*arguments)
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert f"{weights} exists: give --overwrite" in result.err
    assert not (tmp_path / "out.png").exists(), "found out before the work"


def test_frames_with_names_of_all_kinds(deblur, folder, tmp_path):
    names = ["one\ntwo.png", "\u5199" * 80 + ".png", os.fsdecode(b"caf\xe9.png"), "\x1b[2J.png"]
    for old, new in zip(sorted(folder.glob("*.png")), names, strict=True):
        old.rename(folder / new)
    options = ["--device", "cpu", "--no-register", "--json", "--save-weights", tmp_path / "weights.png"]
    result = deblur("burst", folder, "-o", tmp_path / "out.png", *options)
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["frames"] == sorted(f"{folder}/{name}" for name in names)
    assert (tmp_path / "weights.png").exists()


def test_weights_picture():
    leaders, shares = np.zeros((4, 3), np.int32), np.full((4, 3), 0.5, np.float32)
    leaders[1, 2], shares[1, 2] = 7, 1
    picture = weights_picture(leaders, shares, (0, 7))
    assert (picture.shape, picture.dtype) == ((4, 5, 3), np.uint8)
    coloured = np.argwhere((picture != 255).any(axis=2))
    np.testing.assert_array_equal(coloured, [[1, 0], [3, 4]])  # symmetric about the middle
    assert (weights_picture(leaders, shares * 0 + 1, (0, 7))[2, 2] != picture[1, 0]).any(), "each has its own colour"
    alone = weights_picture(np.zeros((4, 3), np.int32), np.ones((4, 3), np.float32), (0,))
    assert len(np.unique(alone.reshape(-1, 3), axis=0)) == 1


def test_a_photograph_to_stdout(deblur, folder):
    result = deblur("burst", folder, "-o", "-", "--device", "cpu")
    assert (result.code, result.err) == (0, "")
    assert decode(result.out)[0].shape == (180, 240, 3)


def test_nothing_is_replaced_unasked(deblur, folder, tmp_path, seen):
    (tmp_path / "out.png").write_bytes(b"mine")
    result = deblur("burst", folder, "-o", tmp_path / "out.png")
    assert (result.code, seen) == (1, []), "found out before the work"
    assert "exists: give --overwrite" in result.err
    assert (tmp_path / "out.png").read_bytes() == b"mine"
    assert deblur("burst", folder, "-o", tmp_path / "out.png", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["-o", "out.png"], "Missing argument"),
        (["a.png"], "Missing option"),
        (["-", "-o", "out.png"], "a burst cannot be read from stdin"),
        (["a.png", "-o", "-", "--json"], "name an output file"),
        (["a.png", "-o", "out.png", "--save-weights", "w.png", "--model", "mine"], "needs --model fba"),
        (["a.png", "-o", "out.png", "--save-weights", "w.png", "--patch", "64"], "without --patch"),
        (["a.png", "-o", "out.png", "--save-weights", "out.png"], "another file than --output"),
        (["a.png", "-o", "out.png", "--p", "-1"], "not in the range"),
    ],
)
def test_wrong_usage_exits_2(deblur, arguments, remedy):
    result = deblur("burst", *arguments)
    assert (result.code, result.out) == (2, b"")
    assert remedy in result.err


def test_an_empty_folder_is_wrong_usage(deblur, tmp_path):
    result = deblur("burst", tmp_path, "-o", tmp_path / "out.png")
    assert result.code == 2
    assert "holds no photographs" in result.err


def test_an_image_is_not_written_to_a_terminal(deblur, folder, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert deblur("burst", folder, "-o", "-").code == 2


def test_what_the_output_cannot_store_is_refused_before_the_work(deblur, tmp_path, seen):
    frames = [tmp_path / f"{number}.png" for number in range(2)]
    for number, path in enumerate(frames):
        write_file(path, np.full((8, 9, 4), 100 + number, np.uint8), Header("PNG"))
    result = deblur("burst", *frames, "-o", tmp_path / "sharp.jpg")
    assert result.code == 1
    assert result.err.startswith("deblur: JPEG holds no alpha channel")
    assert seen == [], "no model was loaded"
