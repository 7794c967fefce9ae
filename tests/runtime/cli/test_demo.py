import json

import numpy as np
import pytest
from PIL import Image

from runtime.burst.registration import Registration, largest_shift
from runtime.cli import demo
from runtime.images import open_image, read_file
from runtime.response import SRGB
from runtime.results import BurstRestoration, Restoration


class Oracle:
    """Replaces `runtime.Deblurrer`: returns a result that is close to the truth."""

    def __init__(self, **options):
        self.options = options

    def restore(self, image, progress, **options):
        progress("remembering", 1.0)
        kernel = demo.motion_kernel(demo._SEED)
        truth = demo.blur(_photograph(), kernel, demo._SEED)[1]
        moved = np.roll(truth, (2, -3), (0, 1))
        return Restoration(moved // 2 + image // 2, kernel, None, None, {}, "oracle")


def _photograph():
    from importlib import resources

    with resources.as_file(resources.files("runtime") / "samples" / "astronaut.jpg") as path:
        return read_file(path)[0]


@pytest.fixture
def oracle(monkeypatch):
    monkeypatch.setattr("runtime.deblurrer.Deblurrer", Oracle)


def test_the_sample_is_shipped_with_its_licence():
    from importlib import resources

    folder = resources.files("runtime") / "samples"
    assert _photograph().shape == (384, 512, 3)
    assert (folder / "astronaut.jpg").stat().st_size < 400_000
    assert "public domain" in (folder / "README").read_text()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [9, 21])
def test_a_motion_kernel_is_a_connected_path(seed, size):
    from scipy.ndimage import label

    kernel = demo.motion_kernel(seed, size)
    assert kernel.shape == (size, size)
    assert kernel.dtype == np.float32
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert label(kernel > 0, np.ones((3, 3)))[1] == 1
    rows, cols = np.nonzero(kernel)
    assert max(np.ptp(rows), np.ptp(cols)) >= size - 4
    assert np.array_equal(kernel, demo.motion_kernel(seed, size))
    assert not np.array_equal(kernel, demo.motion_kernel(seed + 1, size))


def test_the_light_is_blurred_and_clips(rng):
    photograph = rng.integers(0, 256, (60, 70, 3), np.uint8)
    kernel = np.zeros((5, 5), np.float32)
    kernel[1, 4] = kernel[3, 0] = 0.5
    blurred, truth = demo.blur(photograph, kernel, seed=3)
    assert blurred.shape == truth.shape == (56, 66, 3)
    light = 1.3 * SRGB.to_light(photograph / np.float32(255))
    stored = SRGB.from_light(light[2:-2, 2:-2].clip(0, 1)) * 255
    np.testing.assert_allclose(truth, stored, atol=0.51)
    assert 0.1 < (truth == 255).mean() < 0.2
    means = ((light[3:-1, 0:-4] + light[1:-3, 4:]) / 2).clip(0, 1)
    noise = SRGB.to_light(blurred / np.float32(255)) - means
    for low, high in ((0.1, 0.2), (0.5, 0.8)):
        inside = (means > low) & (means < high)
        expected = np.sqrt(2e-4 * means[inside].mean() + 4e-6)
        assert noise[inside].std() == pytest.approx(expected, rel=0.1)


def test_frames_are_blurred_by_a_valid_convolution_with_one_per_cent_of_noise(rng):
    photograph = rng.integers(64, 192, (60, 70, 3), np.uint8)
    delta = np.zeros((5, 5), np.float32)
    delta[1, 4] = 1
    blurred, truth = demo.blur_values(photograph, delta, seed=3)
    assert blurred.shape == truth.shape == (56, 66, 3)
    assert np.array_equal(truth, photograph[2:-2, 2:-2])
    noise = blurred / 255 - photograph[3:-1, 0:-4] / 255
    assert noise.std() == pytest.approx(0.01, rel=0.05)


def test_the_score_does_not_depend_on_a_shift(rng):
    photograph = _photograph()
    noisy = np.clip(photograph + rng.normal(0, 8, photograph.shape), 0, 255).astype(np.uint8)
    assert demo.score(np.roll(noisy, (4, -5), (0, 1)), photograph) == pytest.approx(demo.score(noisy, photograph))


def test_the_demo_prints_the_gain_and_writes_the_picture(deblur, oracle, tmp_path):
    result = deblur("demo", "-o", tmp_path / "picture.png")
    assert (result.code, result.err) == (0, "")
    text = result.out.decode()
    assert "oracle: 492x364 pixels" in text
    assert f"picture: {tmp_path}/picture.png" in text
    before, after, gain = (
        float(word) for word in text.split("PSNR")[1].split() if word.lstrip("+").replace(".", "").isdigit()
    )
    assert after > before + 2
    assert gain == pytest.approx(after - before, abs=0.011)
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.size == (3 * 492, 364 + demo._CAPTION_HEIGHT)


def test_the_demo_as_json(deblur, oracle, tmp_path):
    report = json.loads(deblur("demo", "-o", tmp_path / "picture.jpg", "--json").out)
    assert report["gain"] == report["psnr_after"] - report["psnr_before"]
    assert report["model"] == "oracle"
    assert (report["confidence"], report["reason"]) == (None, None)
    assert (tmp_path / "picture.jpg").exists()


def test_a_shaken_frame_shows_the_photograph_moved_blurred_and_noisy():
    photograph = _photograph()
    frame = demo.simulate_frame(photograph, 3)
    margin = demo._BURST_CROP + demo._BURST_KERNEL_SIZES[-1] // 2
    assert frame.pixels.shape == frame.truth.shape == (384 - 2 * margin, 512 - 2 * margin, 3)
    still = np.ascontiguousarray(photograph[margin:-margin, margin:-margin])
    homography = Registration(open_image(still)[0]).homography(open_image(frame.truth)[0])
    assert homography is not None
    height, width = still.shape[:2]
    assert 0.5 < largest_shift(homography, height, width) < demo._BURST_CROP - 8
    turn = np.degrees(np.arctan2(homography[1, 0], homography[0, 0]))
    assert 0.02 < abs(turn) < demo._MAX_ROTATION + 0.02
    again = demo.blur_values(np.pad(frame.truth, ((8, 8), (8, 8), (0, 0)), mode="edge"), frame.kernel, 0)[0]
    difference = (again / 255 - frame.pixels / 255)[8:-8, 8:-8]
    assert difference.std() == pytest.approx(0.01 * 2**0.5, rel=0.15), "two draws of noise"


def test_the_frames_of_a_burst_differ_and_can_be_had_again():
    photograph = _photograph()
    frames = [demo.simulate_frame(photograph, seed) for seed in range(4)]
    extents = {max(np.ptp(axis) for axis in np.nonzero(frame.kernel)) for frame in frames}
    assert len(extents) > 1
    assert all(frame.kernel.shape == (17, 17) for frame in frames)
    assert all(frame.kernel.sum() == pytest.approx(1, abs=1e-5) for frame in frames)
    assert all((frame.truth != frames[0].truth).any() for frame in frames[1:])
    np.testing.assert_array_equal(demo.simulate_frame(photograph, 2).pixels, frames[2].pixels)


@pytest.fixture
def opened_bursts(monkeypatch):
    """The options of each burst model that was loaded, and of its restoration; the result is the second frame."""
    seen = []

    class SecondFrame:
        def __init__(self, **options):
            self.model = options["model"]
            seen.append(options)

        def restore_burst(self, frames, progress, **options):
            seen.append(options)
            progress("looking", 1.0)
            return BurstRestoration(frames[1], 1, (0, 1), None, None, {}, f"{self.model}-1")

    monkeypatch.setattr("runtime.deblurrer.Deblurrer", SecondFrame)
    return seen


def test_the_demo_of_a_burst_prints_the_scores_and_writes_the_picture(deblur, opened_bursts, tmp_path):
    result = deblur("demo", "--burst", "-o", tmp_path / "picture.png", "--device", "cpu", "--stride", 9)
    assert (result.code, result.err) == (0, "")
    head, *scores, picture = result.out.decode().splitlines()
    assert head.startswith("8 hand-held frames: 464x336 pixels")
    assert picture == f"picture: {tmp_path}/picture.png"
    found = {line.split(maxsplit=3)[3]: float(line.split()[1]) for line in scores}
    assert list(found) == ["best frame", "mean", "Fourier burst accumulation", "burst network"]
    frames = [demo.simulate_frame(_photograph(), demo._SEED + number) for number in range(2)]
    reached = demo.score(frames[1].pixels, frames[1].truth)
    assert [found[name] for name in list(found)[1:]] == pytest.approx([reached] * 3, abs=0.006)
    assert found["best frame"] >= max(demo.score(frame.pixels, frame.truth) for frame in frames) - 0.006
    with Image.open(tmp_path / "picture.png") as shown:
        assert shown.size == (2 * 464, 2 * (336 + demo._CAPTION_HEIGHT))
    loading = {"device": "cpu", "precision": "auto", "batch": None}
    assert opened_bursts[::2] == [loading | {"model": model} for model in ("fba", "fba", "wieschollek")]
    assert opened_bursts[1::2] == [{"p": p, "stride": 9} for p in (0.0, 11.0, 11.0)]


def test_the_demo_of_a_burst_as_json(deblur, opened_bursts, tmp_path):
    report = json.loads(deblur("demo", "--burst", "-o", tmp_path / "picture.jpg", "--json").out)
    assert report["picture"] == f"{tmp_path}/picture.jpg"
    assert report["burst network"]["model"] == "wieschollek-1"
    assert report["mean"]["frames"] == [0, 1]
    assert report["best frame"].keys() == {"psnr"}


def test_a_burst_takes_no_options_of_a_single_photograph(deblur, opened_bursts, tmp_path):
    result = deblur("demo", "--burst", "-o", tmp_path / "picture.png", "--support", 21)
    assert result.code == 2
    assert "leave --support out" in result.err
    assert opened_bursts == [], "found out before the work"


def test_a_picture_that_is_there_is_kept(deblur, oracle, tmp_path):
    (tmp_path / "picture.png").write_text("mine")
    result = deblur("demo", "-o", tmp_path / "picture.png")
    assert result.code == 1
    assert "--overwrite" in result.err
    assert (tmp_path / "picture.png").read_text() == "mine"


def test_the_demos_own_picture_is_replaced(deblur, oracle, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / demo._PICTURE).write_bytes(b"an older picture")
    assert deblur("demo").code == 0
    assert read_file(tmp_path / demo._PICTURE)[0].ndim == 3


def test_a_picture_of_no_format_is_refused_before_the_work(deblur, oracle, tmp_path):
    result = deblur("demo", "-o", tmp_path / "picture")
    assert result.code == 1
    assert "name an image file" in result.err


def test_panels_stand_side_by_side_with_their_kernels():
    grey = np.full((100, 120, 3), 128, np.uint8)
    kernel = np.zeros((21, 21), np.float32)
    kernel[10, 10] = 1
    canvas = demo.compose([("one", grey, kernel), ("two", grey, None)], 2)
    assert canvas.shape == (100 + demo._CAPTION_HEIGHT, 240, 3)
    assert (canvas[demo._CAPTION_HEIGHT :, 120:] == 128).all()
    inset = canvas[demo._CAPTION_HEIGHT + 6 :, 6:][: demo._INSET_SIZE + 2, : demo._INSET_SIZE + 2]
    below = demo.compose([("one", grey, None), ("two", grey, kernel)], 1)
    assert below.shape == (2 * (100 + demo._CAPTION_HEIGHT), 120, 3)
    np.testing.assert_array_equal(
        below[100 + demo._CAPTION_HEIGHT :][demo._CAPTION_HEIGHT + 6 :, 6:][: demo._INSET_SIZE + 2],
        canvas[demo._CAPTION_HEIGHT + 6 :, 6:120][: demo._INSET_SIZE + 2],
    )
    assert (inset[[0, -1]] == 160).all()
    assert (inset[43, 43] == 255).all()
    assert (inset[5, 5] == 0).all()
