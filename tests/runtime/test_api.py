import threading

import numpy as np
import pytest
from PIL import Image
from scipy.signal import fftconvolve
from skimage.data import astronaut, camera, chelsea

import runtime
from kernels.cancellation import START
from runtime.blur.blurs import MotionBlur
from runtime.decisions.reasons import Reason
from runtime.errors import InvalidArgument, InvalidImage, InvalidModel, ModelNotFound, UnsupportedType
from tests.support.models import write_motion_bundle, write_patch_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_patch_bundle(tmp_path_factory.mktemp("models") / "identity", "filters")


@pytest.fixture(scope="module")
def deblurrer(bundle):
    return runtime.Deblurrer(model=bundle, device="cpu")


@pytest.fixture(scope="module")
def photograph():
    return np.ascontiguousarray(astronaut()[60:220, 130:330])


@pytest.fixture(scope="module")
def blurred(photograph):
    line = np.full((9, 1), 1 / 9)
    return np.stack([fftconvolve(photograph[..., c], line, "valid") for c in range(3)], axis=-1).astype(np.uint8)


def test_what_comes_in_goes_out(bundle, photograph):
    sharp = runtime.deblur(photograph, model=bundle.path, device="cpu", quality="fast")
    assert isinstance(sharp, np.ndarray)
    assert (sharp.dtype, sharp.shape) == (photograph.dtype, photograph.shape)
    pil = runtime.deblur(Image.fromarray(photograph), model=bundle.path, device="cpu", quality="fast")
    assert isinstance(pil, Image.Image)
    np.testing.assert_array_equal(np.asarray(pil), sharp)


def test_a_sharp_photograph_comes_back_as_it_was(deblurrer, photograph):
    result = deblurrer.restore(photograph)
    assert result.confidence < 0.5
    assert (result.code, result.reason) == (Reason.NOT_BLURRED.code, Reason.NOT_BLURRED.sentence)
    assert result.kernel.max() == 1
    np.testing.assert_array_equal(result.image, photograph)


def test_a_network_that_sees_no_blur_hardly_changes_the_photograph(deblurrer, photograph):
    result = deblurrer.restore(photograph, refine=False)
    assert result.confidence is None
    assert result.kernel[25, 25] > 0.8
    error = result.image.astype(float) - photograph
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 38


def test_a_restoration_says_what_was_found_on_the_way(deblurrer, blurred):
    stages = []
    result = deblurrer.restore(blurred, progress=lambda stage, fraction: stages.append(stage))
    assert result.initial.shape == blurred.shape[:2]
    assert result.initial.dtype == np.float32
    assert result.kernel.dtype == np.float32
    assert abs(result.kernel.sum() - 1) < 1e-5
    assert result.motion is None
    assert result.model == "identity-filters"
    assert (result.code, result.reason) == (None, None)
    expected = ["prepare", "extract", "network", "filter", "overlap-add", "kernel estimate", "non-blind", "repair"]
    assert list(result.timings) == expected
    # A slow machine reports that it has started, too.
    assert next(stage for stage in stages if stage != START) == "neural average"


def test_the_network_can_be_left_out(deblurrer, blurred):
    result = deblurrer.restore(blurred, quality="fast", neural=False)
    assert result.initial is None
    assert list(result.timings) == ["prepare", "kernel estimate", "non-blind"]


def test_the_networks_own_estimate_can_be_had(deblurrer, photograph):
    result = deblurrer.restore(photograph, nonblind="none")
    assert result.kernel is None
    np.testing.assert_array_equal(result.image, photograph)


def test_strength_blends_with_the_photograph(deblurrer, blurred):
    image = 0.25 + blurred.astype(np.float32) / 510  # away from the ends, where results are clipped
    whole = deblurrer.restore(image, quality="fast").image
    assert np.abs(whole - image).max() > 0.01
    half = deblurrer.restore(image, quality="fast", strength=0.5).image
    kept = (whole > 0) & (whole < 1)  # what was not clipped
    assert kept.mean() > 0.99
    np.testing.assert_allclose(half[kept], ((image + whole) / 2)[kept], atol=1e-6)
    np.testing.assert_array_equal(deblurrer.restore(image, quality="fast", strength=0).image, image)


def test_many_threads_share_one_deblurrer(deblurrer, photograph):
    images = [np.ascontiguousarray(np.roll(photograph, 7 * n, axis=1)) for n in range(4)]
    expected = [deblurrer.restore(image, nonblind="none").image for image in images]
    answers = [None] * len(images)

    def work(index):
        answers[index] = deblurrer.restore(images[index], nonblind="none").image

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_array_equal(answer, wanted)


def test_a_known_kernel_is_undone():
    latent = camera()[100:300, 100:340] / 255
    kernel = np.zeros((7, 7))
    kernel[3, :] = kernel[2, 3:] = 1
    kernel /= kernel.sum()
    observed = np.clip(fftconvolve(latent, kernel, "same"), 0, 1).astype(np.float32)
    restored = runtime.deconvolve(observed, kernel, noise=0.002, device="cpu")
    inner = (slice(20, -20),) * 2

    def error(image):
        return np.mean((image - latent)[inner] ** 2)

    assert restored.dtype == np.float32
    assert error(restored) < 0.1 * error(observed)


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.zeros((0, 5), np.uint8), InvalidImage),
        (np.zeros((1, 1), np.uint8), InvalidImage),
        (np.zeros((3, 5000), np.uint8), InvalidImage),
        (np.full((90, 90), np.nan, np.float32), InvalidImage),
        (np.zeros((90, 90, 5), np.uint8), InvalidImage),
        (np.zeros((90, 90), np.int64), UnsupportedType),
        (np.zeros((90, 90), complex), UnsupportedType),
        ("photograph.jpg", UnsupportedType),
        (b"no image", InvalidImage),
        (None, UnsupportedType),
    ],
)
def test_an_image_that_cannot_be_used_is_named_in_one_line(deblurrer, image, kind):
    with pytest.raises(kind) as caught:
        deblurrer.restore(image)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"stride": 0}, "stride 0: give a whole number of pixels, 1 or more"),
        ({"stride": 10}, "this model takes 1 to 9"),
        ({"nonblind": "magic"}, "give one of"),
        ({"support": 1}, "3 or more"),
        ({"support": 1001}, "support"),
        ({"noise": -1.0}, "standard deviation"),
        ({"noise": float("nan")}, "standard deviation"),
        ({"quality": "perfect"}, "give one of fast, balanced, best"),
        ({"neural": False, "nonblind": "none"}, "give another nonblind"),
        ({"neural": False, "refine": False}, "needs refine=True"),
        ({"strength": 1.5}, "from 0"),
        ({"strength": float("nan")}, "from 0"),
    ],
)
def test_an_option_that_cannot_be_is_named(deblurrer, photograph, option, message):
    with pytest.raises(InvalidArgument, match=message):
        deblurrer.restore(photograph, **option)


def test_a_model_that_cannot_be_used_is_named(tmp_path, photograph):
    with pytest.raises(ModelNotFound):
        runtime.deblur(photograph, model="nothing", device="cpu")
    other = write_patch_bundle(tmp_path / "other", "cores", method="telepathy")
    with pytest.raises(InvalidModel, match="'telepathy' cannot deblur a photograph"):
        runtime.Deblurrer(model=other, device="cpu")


@pytest.mark.parametrize(
    "kernel", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((3, 3)), np.ones((1, 1, 1)), -np.eye(3)]
)
def test_a_kernel_that_is_none_is_refused(kernel, photograph):
    with pytest.raises(InvalidArgument):
        runtime.deconvolve(photograph, kernel, device="cpu")


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e15, 3e35])
def test_a_restoration_scales_with_its_photograph(scale):
    image = np.random.default_rng(0).random((40, 44), np.float32) ** 4
    kernel = np.full((3, 3), 1 / 9, np.float32)
    expected = runtime.deconvolve(3 * image, kernel, quality="fast", device="cpu")
    scaled = runtime.deconvolve(np.float32(3 * scale) * image, kernel, quality="fast", device="cpu")
    # A result may reach the brightest value of its photograph or 1, whichever is more.
    scaled = np.minimum(scaled / np.float32(scale), image.max() * 3)
    np.testing.assert_allclose(scaled, expected, atol=1e-4)


def test_a_known_motion_is_undone():
    latent = camera()[100:230, 100:250, None] / 255 * np.array([1.0, 0.9, 0.7])
    line = np.full((1, 9), 1 / 9)
    observed = np.stack([fftconvolve(latent[..., c], line, "same") for c in range(3)], axis=-1)
    observed = np.clip(observed, 0, 1).astype(np.float32)
    field = np.zeros((130, 150, 2))
    field[..., 0] = 9
    restored = runtime.deconvolve(observed, motion=field, noise=0.002, device="cpu")
    assert (restored.dtype, restored.shape) == (np.float32, (130, 150, 3))

    def error(image):
        return np.mean((image - latent)[15:-15, 15:-15] ** 2)

    assert error(restored) < 0.2 * error(observed)
    np.testing.assert_array_equal(
        runtime.deconvolve(observed, motion=field, noise=0.002, method="irc", device="cpu"), restored
    )


FIELD = np.full((160, 200, 2), 3.0)
HOLE = FIELD.copy()
HOLE[5, 6, 1] = np.nan


@pytest.mark.parametrize(
    ("blur", "message"),
    [
        ({}, "neither a kernel nor a motion"),
        ({"kernel": np.ones((1, 1)), "motion": FIELD}, "both a kernel and a motion"),
        ({"motion": FIELD[1:]}, r"give \(160, 200, 2\)"),
        ({"motion": FIELD[..., 0]}, r"give \(160, 200, 2\)"),
        ({"motion": HOLE}, "NaN or infinity"),
        ({"motion": 12 * FIELD}, "36 px is longer than 35"),
        ({"motion": -FIELD}, "turn it by 180 degrees"),
        ({"motion": FIELD, "method": "epll"}, "choose irc"),
        ({"motion": FIELD, "noise": -1.0}, "0 or more"),
        ({"motion": FIELD, "quality": "perfect"}, "give one of fast, balanced, best"),
    ],
)
def test_a_blur_that_cannot_be_undone_is_named_in_one_line(blur, message, photograph):
    with pytest.raises(InvalidArgument, match=message) as caught:
        runtime.deconvolve(photograph, device="cpu", **blur)
    assert "\n" not in str(caught.value)


def test_a_restoration_by_motion_tells_the_motion(tmp_path, photograph):
    bundle = write_motion_bundle(tmp_path / "motion", (0.0, 6.0, 0.0))
    planes = np.ascontiguousarray(photograph.transpose(2, 0, 1), np.float32) / 255
    moved = MotionBlur(np.tile(np.float32([7, 45]), (*planes.shape[1:], 1))).apply(planes)
    photograph = np.rint(255 * moved.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)
    result = runtime.Deblurrer(model=bundle, device="cpu").restore(photograph)
    assert (result.kernel, result.initial, result.reason) == (None, None, None)
    assert (result.motion.dtype, result.motion.shape) == (np.float32, (160, 200, 2))
    np.testing.assert_allclose(result.motion, np.broadcast_to((7, 45), result.motion.shape), atol=1e-3)
    assert (result.image != photograph).any()


@pytest.mark.parametrize("noise", [0.01, 0.9])
def test_noise_in_units_of_the_value_range_may_exceed_the_white_of_a_dim_photograph(noise):
    dim = np.random.default_rng(0).random((70, 72), np.float32) * np.float32(0.01)
    assert np.isfinite(runtime.Deblurrer(device="cpu").restore(dim, quality="fast", noise=noise).image).all()
    for scale in (1e-3, 1e-40):
        image = dim.astype(np.float64) * scale
        restored = runtime.deconvolve(image, [[0.25, 0.5, 0.25]], quality="fast", noise=noise, device="cpu")
        assert np.isfinite(restored).all()


@pytest.mark.parametrize(("response", "name"), [("srgb", "srgb"), (1.8, "1.8"), ("linear", "linear")])
def test_a_given_response_is_told_with_the_result(response, name):
    photograph = np.ascontiguousarray(chelsea()[60:160, 100:220])
    result = runtime.Deblurrer(device="cpu").restore(photograph, quality="fast", response=response)
    assert result.response == name
    assert (result.image.dtype, result.image.shape) == (photograph.dtype, photograph.shape)


@pytest.mark.parametrize("response", ["linear", "srgb", 2.2])
def test_a_point_changes_nothing_under_any_response(response):
    photograph = np.ascontiguousarray(chelsea()[60:160, 100:220])
    same = runtime.deconvolve(photograph, np.ones((1, 1), np.float32), quality="fast", response=response)
    assert np.abs(same.astype(int) - photograph).mean() < 1


@pytest.mark.parametrize("response", ["gamma", 0.2, None])
def test_a_response_that_is_none_is_refused(response):
    photograph = np.zeros((80, 80), np.float32)
    with pytest.raises(InvalidArgument, match="response"):
        runtime.deconvolve(photograph, np.ones((1, 1), np.float32), response=response)
    with pytest.raises(InvalidArgument, match="response"):
        runtime.deblur(photograph, response=response, device="cpu")
