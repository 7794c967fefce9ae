import io
import threading
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.data import chelsea

import runtime
from kernels.cancellation import START
from runtime.burst.registration import warp
from runtime.colour import luminance
from runtime.contract import BurstEstimate
from runtime.errors import (
    FrameLeftOut,
    ImageFileError,
    InvalidArgument,
    InvalidImage,
    InvalidModel,
    ModelNotFound,
    UnsupportedType,
)
from runtime.images import open_image, read_file, write_file
from runtime.options import BurstOptions
from tests.support.bursts import pixels_of, psnr, scene, shaken
from tests.support.models import write_burst_bundle, write_patch_bundle


@pytest.fixture(scope="module")
def deblurrer():
    return runtime.Deblurrer(model="fba", device="cpu")


@pytest.fixture(scope="module")
def latent():
    return scene()


@pytest.fixture(scope="module")
def frames(latent):
    return [pixels_of(frame) for frame in shaken(latent, 5)]


def planes_of(image):
    return open_image(image)[0]


def test_a_burst_becomes_sharper_than_its_best_frame(latent, frames):
    fused = runtime.deblur_burst(frames, device="cpu")
    assert (fused.dtype, fused.shape) == (np.uint8, frames[0].shape)
    best = max(psnr(planes_of(frame), latent) for frame in frames)
    assert psnr(planes_of(fused), latent, border=4) > 2.5 + best


def test_what_comes_in_goes_out(deblurrer, frames, tmp_path):
    expected = deblurrer.restore_burst(frames, register=False).image
    pictures = deblurrer.restore_burst([Image.fromarray(frame) for frame in frames], register=False).image
    assert isinstance(pictures, Image.Image)
    np.testing.assert_array_equal(np.asarray(pictures), expected)
    paths = [tmp_path / f"{number}.png" for number in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        write_file(path, frame)
    np.testing.assert_array_equal(deblurrer.restore_burst(paths, register=False).image, expected)
    encoded = deblurrer.restore_burst([path.read_bytes() for path in paths], register=False).image
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), expected)
    sixteen = deblurrer.restore_burst([frame.astype(np.uint16) * 257 for frame in frames], register=False).image
    assert sixteen.dtype == np.uint16
    np.testing.assert_allclose(sixteen / 65535, expected / 255, atol=0.51 / 255)
    grey = deblurrer.restore_burst([frame[..., 1] for frame in frames], register=False).image
    assert grey.shape == frames[0].shape[:2]


def test_alpha_is_that_of_the_reference(deblurrer, frames):
    with_alpha = [np.dstack([frame, np.full(frame.shape[:2], 50 * n, np.uint8)]) for n, frame in enumerate(frames)]
    for register in (True, False):
        result = deblurrer.restore_burst(with_alpha, register=register, reference=2)
        assert result.reference == 2
        assert (result.image[..., 3] == 100).all()


def test_a_restoration_says_who_gave_what(deblurrer, frames):
    stages = []
    result = deblurrer.restore_burst(frames, progress=lambda stage, fraction: stages.append((stage, fraction)))
    assert result.frames == (0, 1, 2, 3, 4)
    assert result.model == "fba"
    assert list(result.timings) == ["read", "sharpest frame", "register", "fuse"]
    # A slow machine reports that it has started, too.
    stages = [stage for stage in dict.fromkeys(stages) if stage[0] != START]
    assert stages[4:6] == [("sharpest frame", 1.0), ("frames", 0.2)]
    assert stages[-1] == ("frames", 1.0)
    assert result.leaders.dtype == np.int32
    assert set(np.unique(result.leaders)) == {0, 1, 2, 3, 4}
    assert result.shares.shape == result.leaders.shape
    assert 0.2 <= result.shares.min() < result.shares.max() <= 1


def test_one_frame_and_equal_frames_come_back(deblurrer, frames):
    for count in (1, 4):
        for register in (True, False):
            result = deblurrer.restore_burst([frames[0]] * count, register=register)
            np.testing.assert_array_equal(result.image, frames[0])
    flat = np.full((30, 40), 77, np.uint8)
    np.testing.assert_array_equal(deblurrer.restore_burst([flat] * 3).image, flat)


def test_order_does_not_matter(deblurrer, frames):
    ways = [deblurrer.restore_burst(order) for order in (frames, frames[::-1])]
    assert ways[0].reference == len(frames) - 1 - ways[1].reference
    assert np.abs(ways[0].image.astype(int) - ways[1].image).max() <= 1


def test_frames_can_be_fused_patch_by_patch(deblurrer, latent, frames):
    result = deblurrer.restore_burst(frames, patch=64)
    assert (result.leaders, result.shares) == (None, None)
    assert result.frames == (0, 1, 2, 3, 4)
    best = max(psnr(planes_of(frame), latent) for frame in frames)
    assert psnr(planes_of(result.image), latent, border=4) > 2 + best


def test_power_zero_is_the_mean(deblurrer, frames):
    mean = np.mean([frame.astype(float) for frame in frames], axis=0)
    assert np.abs(deblurrer.restore_burst(frames, register=False, p=0).image - mean).max() < 0.51


MARGIN = 32


def moved(frames, still):
    """The inner parts of frames as seen by a camera that moved for all but frame `still`, and by how much."""
    height, width = frames[0].shape[1:]
    offset = np.array([[1, 0, MARGIN], [0, 1, MARGIN], [0, 0, 1]])
    seen, homographies = [], []
    for number, frame in enumerate(frames):
        step = 4 * (number - still) / len(frames)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), step / 2, 1 + 0.004 * step)
        homography = np.vstack([turn, [0, 0, 1]]) + np.array([[0, 0, 3 * step], [0, 0, -2 * step], [0, 0, 0]])
        seen.append(inner(warp(frame, homography, outside=frame) if number != still else frame))
        homographies.append(np.linalg.inv(np.linalg.inv(offset) @ homography @ offset))
    return seen, homographies


def inner(planes):
    return np.ascontiguousarray(planes[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def test_frames_that_moved_are_brought_back(deblurrer):
    latent = scene(256, 300)
    seen, homographies = moved(shaken(latent, 5), still=2)
    back = [warp(frame, homography, outside=seen[2]) for frame, homography in zip(seen, homographies, strict=True)]
    back[2] = seen[2]

    def score(frames, register):
        restored = deblurrer.restore_burst(
            [pixels_of(frame.clip(0, 1)) for frame in frames], register=register, reference=2
        )
        return psnr(planes_of(restored.image), inner(latent), border=8)

    assert score(seen, register=False) < 25
    assert score(seen, register=True) > score(back, register=False) - 0.3


def test_a_frame_of_another_scene_is_left_out_and_named(deblurrer, frames):
    height, width = frames[0].shape[:2]
    intruder = np.ascontiguousarray(chelsea()[:height, :width])
    expected = deblurrer.restore_burst(frames)
    with pytest.warns(FrameLeftOut, match=r"frame 3 is left out: it cannot be aligned with frame \d; it shows another"):
        result = deblurrer.restore_burst([*frames[:3], intruder, *frames[3:]])
    assert result.frames == (0, 1, 2, 4, 5)
    assert set(np.unique(result.leaders)) == {0, 1, 2, 4, 5}
    np.testing.assert_array_equal(result.image, expected.image)


def test_a_stray_frame_is_no_reference_however_sharp(deblurrer, frames):
    height, width = frames[0].shape[:2]
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with pytest.warns(FrameLeftOut, match="frame 0 is left out"):
        result = deblurrer.restore_burst([noise, *frames])
    assert result.frames == (1, 2, 3, 4, 5)
    np.testing.assert_array_equal(result.image, deblurrer.restore_burst(frames).image)


def test_of_frames_without_a_common_scene_one_comes_back(deblurrer):
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 60, 80, 3), np.uint8))
    with pytest.warns(FrameLeftOut) as left_out:
        result = deblurrer.restore_burst(frames)
    assert len(left_out) == 2
    np.testing.assert_array_equal(result.image, frames[result.reference])


def test_frames_that_can_be_aligned_raise_no_warning(deblurrer, frames):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deblurrer.restore_burst(frames)


def test_frames_are_read_one_at_a_time(deblurrer, frames):
    alive, most = set(), 0

    class Tracked(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def burst():
        nonlocal most
        for frame in frames * 3:
            tracked = frame.copy().view(Tracked)
            alive.add(id(tracked))
            most = max(most, len(alive))
            yield tracked
            del tracked

    assert len(deblurrer.restore_burst(burst(), register=False).frames) == 15
    assert most <= 3


def test_an_iterator_can_be_aligned(deblurrer, frames):
    np.testing.assert_array_equal(deblurrer.restore_burst(iter(frames)).image, deblurrer.restore_burst(frames).image)


def test_many_threads_share_one_deblurrer(deblurrer, frames):
    expected, answers = deblurrer.restore_burst(frames).image, [None] * 3

    def work(index):
        answers[index] = deblurrer.restore_burst(frames).image

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        np.testing.assert_array_equal(answer, expected)


class Stub:
    """Stands for a burst network: the frame that was given last."""

    supported_options = frozenset(BurstOptions.__dataclass_fields__)

    def __init__(self, bundle, *, device, precision, batch):
        self.seen = []

    def restore_burst(self, frames, run):
        frames = list(frames)
        self.seen.append((len(frames), run.options))
        run.report("network", 1.0)
        with run.stopwatch("network"):
            return BurstEstimate(frames[-1])


def test_a_burst_network_is_given_aligned_frames(frames, tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.methods.wieschollek.Wieschollek", Stub)
    bundle = write_patch_bundle(tmp_path / "network", "cores", method="wieschollek", name="stub")
    deblurrer = runtime.Deblurrer(model=bundle.path, device="cpu")
    stages = []
    asked = {"p": 9.0, "patch": 2, "stride": 3, "smoothing": 0.5, "chroma": "fba"}
    result = deblurrer.restore_burst(frames, register=False, progress=lambda *stage: stages.append(stage), **asked)
    np.testing.assert_array_equal(result.image, frames[-1])
    assert deblurrer._method.seen == [(5, BurstOptions(**asked))]
    assert (result.model, result.leaders, result.shares) == ("stub", None, None)
    assert stages[-1] == ("network", 1.0)
    assert "network" in result.timings


def test_a_model_of_one_kind_says_that_it_is_not_of_the_other(deblurrer, frames, tmp_path):
    bundle = write_patch_bundle(tmp_path / "single", "cores", name="solo")
    with pytest.raises(InvalidModel, match="solo restores one photograph, not a burst: call restore, or load another"):
        runtime.Deblurrer(model=bundle, device="cpu").restore_burst(frames)
    with pytest.raises(InvalidModel, match="such as 'fba' or 'wieschollek'"):
        runtime.deblur_burst(frames, model=bundle.path, device="cpu")
    with pytest.raises(InvalidModel, match="fba restores bursts, not one photograph: call restore_burst, or load"):
        deblurrer.restore(frames[0])
    burst_bundle = write_burst_bundle(tmp_path / "burst")
    with pytest.raises(InvalidModel, match=r"mean-of-frames restores bursts.* such as 'auto'"):
        runtime.deblur(frames[0], model=burst_bundle.path, device="cpu")
    assert (deblurrer.bundle.method, deblurrer.name) == ("fba", "fba")


def test_a_model_that_is_not_there(frames):
    with pytest.raises(ModelNotFound):
        runtime.deblur_burst(frames, model="absent", device="cpu")


def test_smoothing_and_chroma_reach_accumulation(deblurrer, frames):
    def restored(**options):
        return deblurrer.restore_burst(frames, register=False, **options).image

    for way in ({}, {"patch": 64}):
        np.testing.assert_array_equal(restored(smoothing=0.02, **way), restored(**way))
        assert (restored(smoothing=0.2, **way) != restored(**way)).mean() > 0.01
    with pytest.raises(InvalidArgument, match="chroma='fba' is no option of fba"):
        restored(chroma="fba")


PIXELS = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)


@pytest.mark.parametrize("register", [True, False])
@pytest.mark.parametrize(
    ("odd", "error", "message"),
    [
        (PIXELS[:19], InvalidImage, "frame 6 has shape"),
        (PIXELS.astype(np.float32), InvalidImage, "frame 6 has dtype float32"),
        (b"no image", InvalidImage, "frame 6: this is no PNG"),
        ("absent.png", ImageFileError, "frame 6: absent.png: cannot be read"),
        (3, UnsupportedType, "frame 6: an image cannot be of type int"),
    ],
)
def test_one_frame_among_ten_that_cannot_be_used_is_named(deblurrer, odd, error, message, register):
    with pytest.raises(error, match=message):
        deblurrer.restore_burst([PIXELS] * 6 + [odd] + [PIXELS] * 3, register=register)


@pytest.mark.parametrize(
    ("frames", "options", "error", "message"),
    [
        ([], {}, InvalidArgument, "a burst of no frames"),
        (iter([]), {}, InvalidArgument, "a burst of no frames"),
        (iter([]), {"register": False}, InvalidArgument, "a burst of no frames"),
        (PIXELS, {}, UnsupportedType, "give a list of images"),
        ([PIXELS], {"p": -1}, InvalidArgument, r"p -1: give a number from 0 \(mean\)"),
        ([PIXELS], {"p": float("nan")}, InvalidArgument, "p nan"),
        ([PIXELS], {"p": "11"}, InvalidArgument, "p '11'"),
        ([PIXELS], {"patch": 0}, InvalidArgument, "patch 0: give a whole number of pixels"),
        ([PIXELS], {"stride": 2.0}, InvalidArgument, "stride 2.0: give a whole number of pixels"),
        ([PIXELS], {"smoothing": -0.1}, InvalidArgument, "smoothing -0.1: give a fraction"),
        ([PIXELS], {"smoothing": float("inf")}, InvalidArgument, "smoothing inf"),
        ([PIXELS], {"smoothing": float("nan")}, InvalidArgument, "smoothing nan"),
        ([PIXELS], {"smoothing": "much"}, InvalidArgument, "smoothing 'much'"),
        ([PIXELS], {"chroma": "none"}, InvalidArgument, "chroma 'none': give one of own, fba"),
        ([PIXELS], {"reference": 1}, InvalidArgument, "reference 1: there are frames 0 to 0 only"),
        ([PIXELS], {"reference": -1}, InvalidArgument, "reference -1"),
        ([PIXELS], {"reference": 0.5}, InvalidArgument, "reference 0.5"),
        (iter([PIXELS]), {"reference": 1, "register": False}, InvalidArgument, "reference 1: there are frames 0 to 0"),
    ],
)
def test_what_cannot_be_is_named(deblurrer, frames, options, error, message):
    with pytest.raises(error, match=message):
        deblurrer.restore_burst(frames, **options)


@pytest.fixture(scope="module")
def real_burst(data_root):
    """Planes of the shot from a tripod, and paths of fourteen from the hand, registered."""
    folder = data_root / "eval" / "fba_psf"
    return planes_of(read_file(folder / "sharp_000.jpg")[0]), sorted(folder.glob("REG_*.jpg"))


def score_against(truth, pixels):
    """PSNR of the luminance after the line between the intensities that fits best."""
    shown, wanted = luminance(planes_of(pixels)), luminance(truth)
    return psnr(np.polyval(np.polyfit(shown.ravel(), wanted.ravel(), 1), shown), wanted)


@pytest.mark.data
def test_a_real_burst_against_the_shot_from_a_tripod(deblurrer, real_burst):
    truth, paths = real_burst
    fused = score_against(truth, deblurrer.restore_burst(paths, register=False).image)
    assert fused >= 29.1
    assert fused > 3 + max(score_against(truth, read_file(path)[0]) for path in paths)
    assert score_against(truth, deblurrer.restore_burst(paths, register=False, p=30).image) > fused + 0.5


@pytest.mark.data
def test_a_real_burst_that_moved_is_as_good_as_the_registered_one(deblurrer, real_burst):
    truth, paths = real_burst
    part = (slice(None), slice(150, 550), slice(250, 850))
    frames = [np.ascontiguousarray(planes_of(read_file(path)[0])[part]) for path in paths]

    def score(frames, register):
        pixels = [pixels_of(frame.clip(0, 1)) for frame in frames]
        return score_against(inner(truth[part]), deblurrer.restore_burst(pixels, register=register, reference=4).image)

    assert score(moved(frames, still=4)[0], register=True) > score([inner(frame) for frame in frames], False) - 0.3


def test_a_model_says_whether_it_restores_bursts():
    assert runtime.Deblurrer(model="fba", device="cpu").restores_bursts
    assert not runtime.Deblurrer(device="cpu").restores_bursts
