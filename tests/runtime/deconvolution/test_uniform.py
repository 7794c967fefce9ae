import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import shift as shift_image
from scipy.signal import fftconvolve

from runtime import deconvolution
from runtime.blur.blurs import KernelBlur, MotionBlur
from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.options import DECONVOLUTIONS, Options
from runtime.quality import LEVELS
from runtime.run import Run

methods = pytest.mark.parametrize("method", DECONVOLUTIONS)
POINT = np.ones((1, 1), np.float32)


def deconvolve(planes, kernel, *, method=None, quality="balanced", progress=None, **how):
    run = Run(Options(quality=quality, nonblind=method), progress=progress)
    return deconvolution.deconvolve(planes, KernelBlur(kernel), run, **how)


@methods
def test_a_point_gives_the_image_back(method, scene, psnr):
    restored = deconvolve(scene.latent[None], POINT, method=method)[0]
    assert psnr(restored, scene.latent) > 55


@methods
def test_a_shifted_point_shifts_the_image_back(method, scene, psnr):
    kernel = np.zeros((7, 6), np.float32)
    kernel[5, 1] = 1
    observed = shift_image(scene.latent, (2, -1), order=0, mode="nearest")
    restored = deconvolve(observed[None], kernel, method=method)[0]
    # The network was trained under noise, and takes the finest detail for some of it.
    assert psnr(restored, scene.latent, 8) > (45 if method == "synthesis" else 50)


@methods
@given(level=st.floats(0, 0.95), height=st.integers(13, 60), width=st.integers(13, 60))
@settings(max_examples=8)
def test_a_constant_image_stays(method, level, height, width, shake):
    image = np.full((1, height, width), level, np.float32)
    np.testing.assert_allclose(deconvolve(image, shake, method=method), level, atol=2e-3)


@methods
@given(
    height=st.integers(1, 48),
    width=st.integers(1, 48),
    rows=st.integers(1, 20),
    cols=st.integers(1, 20),
    channels=st.integers(1, 3),
    noise=st.sampled_from([None, 0.0, 1e-6, 0.01, 0.3, 10.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_no_size_kernel_or_noise_gives_nan(method, height, width, rows, cols, channels, noise, seed):
    random = np.random.default_rng(seed)
    planes = random.random((channels, height, width)).astype(np.float32)
    kernel = random.random((min(rows, height), min(cols, width))).astype(np.float32)
    restored = deconvolve(planes, kernel / kernel.sum(), method=method, noise=noise)
    assert restored.shape == planes.shape
    assert restored.dtype == np.float32
    assert np.isfinite(restored).all()


@methods
@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_images_clipped_everywhere_stay(method, level, shake):
    image = np.full((1, 40, 40), level, np.float32)
    np.testing.assert_allclose(deconvolve(image, shake, method=method), level, atol=0.01)


@methods
def test_photographs_get_sharper(method, scene, psnr):
    gain = {"wiener": 4, "hyper-laplacian": 5, "epll": 5, "synthesis": 5, "irc": 5}[method]
    restored = deconvolve(scene.observed[None], scene.kernel, method=method)[0]
    assert psnr(restored, scene.latent) > psnr(scene.observed, scene.latent) + gain


@methods
def test_without_noise_little_of_the_blur_remains(method, make_scene, shake, psnr):
    scene = make_scene(shake)
    restored = deconvolve(scene.observed[None], shake, method=method, noise=0.0)[0]
    assert psnr(restored, scene.latent, 13) > psnr(scene.observed, scene.latent, 13) + 12


@methods
def test_nothing_rings_from_the_border(method, scene):
    """Three pixels in, errors are within twice those of the middle; further out, below those of the blurred image."""
    restored = deconvolve(scene.observed[None], scene.kernel, method=method)[0]

    def error(image, start, stop):
        frame = np.zeros(image.shape, bool)
        frame[start : -start or None, start : -start or None] = True
        if stop:
            frame[stop:-stop, stop:-stop] = False
        return np.sqrt(np.square(image - scene.latent)[frame].mean())

    inside = error(restored, 13, None)
    assert error(restored, 6, 13) < 1.2 * inside
    assert error(restored, 3, 6) < 2 * inside
    assert error(restored, 0, 3) < 0.75 * error(scene.observed, 0, 3)


def test_saturated_highlights_do_not_ring(make_scene, shake, psnr):
    scene = make_scene(shake, noise=0.003, shape=(120, 120))
    bright, clipped = 1.7 * scene.latent, np.clip(1.7 * scene.observed, 0, 1)
    assert 0.05 < (clipped >= 0.98).mean() < 0.5
    masked = deconvolve(clipped[None], shake)[0]
    plain = deconvolve(0.97 * clipped[None], shake)[0] / 0.97
    scores = [psnr(np.clip(image, 0, 1), np.clip(bright, 0, 1), 13) for image in (masked, plain)]
    assert scores[0] > scores[1] + 1


@methods
def test_grey_stays_grey(method, scene):
    restored = deconvolve(np.stack([scene.observed] * 3), scene.kernel, method=method, noise=0.01)
    np.testing.assert_allclose(restored[0], restored[1], atol=1e-5)
    np.testing.assert_allclose(restored[0], restored[2], atol=1e-5)


def test_two_planes_are_restored_alike_and_apart(scene):
    planes = np.stack([scene.observed, 0.5 * scene.observed])
    restored = deconvolve(planes, scene.kernel, noise=0.01)
    np.testing.assert_array_equal(restored[1], deconvolve(planes[1:], scene.kernel, noise=0.01)[0])


def test_colour_profits_from_noise_that_differs_by_channel(make_scene, shake, psnr):
    scene = make_scene(shake)
    tint = np.array([0.9, 0.7, 0.5], np.float32)[:, None, None]
    noise = 0.02 * np.random.default_rng(1).normal(size=(3, *scene.observed.shape))
    observed, latent = (tint * scene.observed + noise).astype(np.float32), tint * scene.latent
    together = deconvolve(observed, shake)
    apart = np.stack([deconvolve(channel[None], shake)[0] for channel in observed])
    gains = [psnr(together[i], latent[i], 8) - psnr(apart[i], latent[i], 8) for i in range(3)]
    assert min(gains) > 0
    assert np.mean(gains) > 0.5


def test_a_colour_that_is_clipped_takes_nothing_from_the_others(make_scene, shake):
    scene = make_scene(shake, noise=0.003)
    observed = np.stack([np.ones_like(scene.observed), scene.observed, scene.observed])
    restored = deconvolve(observed, shake, method="hyper-laplacian")
    np.testing.assert_array_equal(restored[1], deconvolve(observed[1:2], shake, method="hyper-laplacian")[0])


@methods
def test_unknown_pixels_do_not_spoil_their_surroundings(method, scene, shake):
    known = np.ones(scene.observed.shape, bool)
    known[40:46, 50:60] = False
    spoiled = np.where(known, scene.observed, 0).astype(np.float32)[None]
    run = Run(Options(nonblind=method, noise=0.005), known=known)
    restored = deconvolution.deconvolve(spoiled, KernelBlur(shake), run)[0]
    intact = deconvolve(scene.observed[None], shake, method=method, noise=0.005)[0]
    ignored = deconvolve(spoiled, shake, method=method, noise=0.005)[0]
    far = np.ones_like(known)
    far[30:56, 40:70] = False
    left, spread = (float(np.sqrt(np.mean(np.square((each - intact)[far])))) for each in (restored, ignored))
    assert left < min(0.01, 0.5 * spread)


@methods
@pytest.mark.parametrize("value", [1e30, -1e30, 3.0, -5.0])
def test_one_broken_pixel_spreads_nowhere(method, scene, value):
    broken = scene.observed.copy()
    broken[50, 60] = value
    restored = [
        deconvolve(image[None], scene.kernel, method=method, noise=0.01)[0] for image in (scene.observed, broken)
    ]
    difference = np.abs(restored[1] - restored[0])
    assert difference.max() < 0.25
    difference[30:70, 40:80] = 0
    assert difference.max() < 0.02


def test_clipped_highlights_at_a_border_of_zeros(shake, psnr):
    """A bright sky at the boundary of the photograph, blurred with zeros beyond it."""
    rows, cols = np.mgrid[:120, :130]
    random = np.random.default_rng(2)
    latent = 0.35 + 0.25 * (np.sin(cols / 5) * np.sin(rows / 7) > 0)
    latent[rows < 30 + 8 * np.sin(cols / 20)] = 1.6
    blurred = fftconvolve(latent, shake, mode="same") + 0.002 * random.normal(size=latent.shape)
    observed, visible = np.clip(blurred, 0, 1).astype(np.float32), np.clip(latent, 0, 1)
    for method in DECONVOLUTIONS:
        restored = np.clip(deconvolve(observed[None], shake, method=method)[0], 0, 1)
        assert psnr(restored, visible, 13) > psnr(observed, visible, 13) + 7


@pytest.mark.parametrize("quality", LEVELS)
def test_a_level_names_its_method(quality, scene):
    asked = deconvolve(scene.observed[None], scene.kernel, quality=quality, method=LEVELS[quality].deconvolution.method)
    np.testing.assert_array_equal(deconvolve(scene.observed[None], scene.kernel, quality=quality), asked)


def test_more_work_does_not_make_it_worse(make_scene, shake, psnr):
    scene = make_scene(shake, noise=0.004)
    scores = [psnr(deconvolve(scene.observed[None], shake, quality=quality)[0], scene.latent, 2) for quality in LEVELS]
    assert scores[1] > scores[0] + 0.3
    assert scores[2] > scores[1] - 0.02


@pytest.mark.gpu
@methods
def test_a_gpu_restores_alike(method, scene):
    import cupy

    planes = np.stack([scene.observed, np.minimum(1.4 * scene.observed, 1)])
    restored = deconvolve(cupy.asarray(planes), cupy.asarray(scene.kernel), method=method)
    assert isinstance(restored, cupy.ndarray)
    assert restored.dtype == cupy.float32
    expected = deconvolve(planes, scene.kernel, method=method)
    assert np.sqrt(np.mean(np.square(restored.get() - expected))) < 2e-3


def test_the_arguments_stay_as_they_are(scene):
    planes, kernel = scene.observed[None].copy(), scene.kernel.copy()
    deconvolve(planes, kernel)
    np.testing.assert_array_equal(planes[0], scene.observed)
    np.testing.assert_array_equal(kernel, scene.kernel)


def test_a_kernel_that_may_be_wrong_restores_with_more_care(scene):
    rough = deconvolve(scene.observed[None], scene.kernel, method="wiener")
    smooth = deconvolve(scene.observed[None], scene.kernel, method="wiener", kernel_error=0.3)
    assert np.abs(np.diff(smooth)).mean() < np.abs(np.diff(rough)).mean()


def test_progress_ends_at_one(scene):
    reports = []
    deconvolve(
        np.stack([scene.observed] * 3), scene.kernel, method="wiener", progress=lambda *report: reports.append(report)
    )
    assert [stage for stage, _ in reports] == ["deconvolve"] * len(reports)
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


PLANES = np.full((3, 20, 20), 0.5, np.float32)
BOX = np.full((3, 3), 1 / 9, np.float32)
NAN = np.where(np.eye(3, dtype=bool), np.nan, BOX).astype(np.float32)


@pytest.mark.parametrize(
    ("planes", "kernel", "options", "error", "message"),
    [
        (PLANES[0], BOX, {}, InvalidImage, r"\(C, H, W\)"),
        (PLANES[:, :0], BOX, {}, InvalidImage, "at least one pixel"),
        (PLANES * np.float32(np.nan), BOX, {}, InvalidImage, "NaN"),
        (PLANES.astype(np.float64), BOX, {}, UnsupportedType, "float32"),
        (PLANES, BOX.astype(np.float64), {}, UnsupportedType, "float32"),
        (PLANES.tolist(), BOX, {}, UnsupportedType, "NumPy or CuPy"),
        (PLANES, BOX.tolist(), {}, UnsupportedType, "NumPy or CuPy"),
        (PLANES, BOX[None], {}, InvalidArgument, "2-D"),
        (PLANES, BOX[:0], {}, InvalidArgument, "2-D"),
        (PLANES, -BOX, {}, InvalidArgument, "clip it to 0"),
        (PLANES, NAN, {}, InvalidArgument, "clip it to 0"),
        (PLANES, 2 * BOX, {}, InvalidArgument, "divide it by its sum"),
        (PLANES, 0 * BOX, {}, InvalidArgument, "divide it by its sum"),
        (PLANES[:, :2], BOX, {}, InvalidArgument, "crop the kernel"),
        (PLANES, BOX, {"method": "magic"}, InvalidArgument, "epll"),
        (PLANES, BOX, {"quality": "magic"}, InvalidArgument, "balanced"),
        (PLANES, BOX, {"noise": -0.1}, InvalidArgument, "0 or more"),
        (PLANES, BOX, {"noise": float("nan")}, InvalidArgument, "0 or more"),
        (PLANES, BOX, {"noise": float("inf")}, InvalidArgument, "0 or more"),
        (PLANES, BOX, {"kernel_error": -0.1}, InvalidArgument, "0 or more"),
    ],
)
def test_bad_arguments_are_refused(planes, kernel, options, error, message):
    with pytest.raises(error, match=message):
        deconvolve(planes, kernel, **options)


def test_the_callers_noise_counts_unless_another_is_given(scene):
    run = Run(Options(nonblind="wiener", noise=0.05))
    blur = KernelBlur(scene.kernel)
    asked = deconvolution.deconvolve(scene.observed[None], blur, run)
    np.testing.assert_array_equal(asked, deconvolve(scene.observed[None], scene.kernel, method="wiener", noise=0.05))
    other = deconvolution.deconvolve(scene.observed[None], blur, run, noise=0.001)
    assert np.abs(np.diff(other)).mean() > 1.2 * np.abs(np.diff(asked)).mean()


def test_the_networks_own_estimate_is_no_deconvolution():
    with pytest.raises(InvalidArgument, match="choose a method of deconvolution"):
        deconvolve(PLANES, BOX, method="none")


def test_a_motion_field_is_undone_by_residual_compensation_only():
    still = MotionBlur(np.ones((20, 20, 2), np.float32))
    assert deconvolution.deconvolve(PLANES, still, Run(Options(nonblind="irc"))).shape == PLANES.shape
    with pytest.raises(InvalidArgument, match="unknown for a motion field; choose irc"):
        deconvolution.deconvolve(PLANES, still, Run(Options(nonblind="epll")))


def test_a_blur_of_no_known_kind_is_refused():
    with pytest.raises(InvalidArgument, match="a blur of type str is unknown"):
        deconvolution.deconvolve(PLANES, "kernel", Run(Options()))
