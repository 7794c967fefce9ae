"""The kernel is found from the latent image, whatever the sizes, brightness and noise; bad input is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve
from skimage import data as pictures

from runtime.errors import InvalidArgument, InvalidImage, UnsupportedType
from runtime.estimation.kernel.single import LAMBDAS, derivatives, estimate_kernel, gradient_equations, l1_path

CAMERA = (pictures.camera() / 255).astype(np.float32)


def path_kernel(size, seed, points=5):
    """A smooth random path with varying speed, drawn with bilinear weights, its mass centred."""
    from runtime.blur.kernel import centre

    rng = np.random.default_rng(seed)
    time = np.linspace(0, points - 1, 40 * size)
    coefficients = rng.uniform(0, size - 1, (points, 2))
    path = np.stack([np.interp(time, np.arange(points), c) for c in coefficients.T], axis=1)
    speed = np.interp(time, np.arange(points), rng.uniform(0.3, 1.5, points))
    whole = np.minimum(path.astype(int), size - 2)
    part = path - whole
    kernel = np.zeros((size, size))
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - part[:, 0]) * np.abs(1 - right - part[:, 1])
            np.add.at(kernel, (whole[:, 0] + down, whole[:, 1] + right), speed * weight)
    room = np.pad(kernel, size // 2 + 1)
    return centre(room / room.sum())


def blur(latent, kernel, noise=0.01, seed=0):
    """Valid convolution, so that no made-up border takes part; returns (observed, latent) of one shape."""
    height, width = kernel.shape
    observed = fftconvolve(latent, kernel, mode="valid")
    observed += np.random.default_rng(seed).normal(0, noise, observed.shape)
    top, left = height - 1 - (height - 1) // 2, width - 1 - (width - 1) // 2
    sharp = latent[top : top + observed.shape[0], left : left + observed.shape[1]]
    return observed.astype(np.float32), np.ascontiguousarray(sharp, dtype=np.float32)


def similarity(estimate, truth):
    """Largest normalised correlation over all shifts, 1 for equal up to translation."""
    correlation = fftconvolve(estimate, truth[::-1, ::-1])
    return correlation.max() / (np.linalg.norm(estimate) * np.linalg.norm(truth))


@pytest.mark.parametrize("size", [5, 9, 14, 21, 26])
@pytest.mark.parametrize("support", [41, 42])
def test_finds_the_true_kernel_at_one_percent_noise(size, support):
    truth = path_kernel(size, seed=size)
    observed, latent = blur(CAMERA[60:330, 90:400], truth)
    estimate = estimate_kernel(observed, latent, support=support)
    assert estimate.kernel.shape == (support, support)
    assert similarity(estimate.kernel, truth) > 0.95


@settings(max_examples=6, deadline=None)
@given(height=st.integers(80, 180), width=st.integers(80, 180), support=st.integers(9, 33), seed=st.integers(0, 99))
def test_is_a_kernel_centred_at_its_origin(height, width, support, seed):
    observed, latent = blur(CAMERA[: height + 8, 100 : 108 + width], path_kernel(6, seed))
    estimate = estimate_kernel(observed, latent, support=support)
    assert estimate.kernel.dtype == np.float32
    assert estimate.kernel.min() >= 0
    assert estimate.kernel.sum() == pytest.approx(1, abs=1e-5)
    offset = np.arange(support) - (support - 1) // 2
    assert abs(estimate.kernel.sum(axis=1) @ offset) <= 0.51
    assert abs(estimate.kernel.sum(axis=0) @ offset) <= 0.51


def test_a_translation_of_the_latent_image_changes_nothing():
    truth = path_kernel(11, seed=3)
    observed, latent = blur(CAMERA[100:330, 100:330], truth)
    straight = estimate_kernel(observed, latent, support=33)
    moved = estimate_kernel(observed, np.roll(latent, (3, -2), axis=(0, 1)), support=33)
    np.testing.assert_allclose(moved.kernel, straight.kernel, atol=0.02)


def test_sharp_observation_gives_a_point():
    image = CAMERA[100:300, 100:300]
    kernel = estimate_kernel(image, image, support=21).kernel
    assert kernel.argmax() == 10 * 21 + 10
    assert kernel.max() > 0.8


@settings(max_examples=10, deadline=None)
@given(gain=st.floats(0.05, 40), offset=st.floats(-1, 1))
@example(gain=37.768034136373004, offset=0.0)
def test_does_not_depend_on_brightness(gain, offset):
    observed, latent = blur(CAMERA[120:260, 120:260], path_kernel(9, seed=1))
    plain = estimate_kernel(observed, latent, support=21).kernel
    changed = estimate_kernel(
        (observed * gain + offset).astype(np.float32), (latent * gain).astype(np.float32), support=21
    ).kernel
    np.testing.assert_allclose(changed, plain, atol=2e-3)


def test_the_path_holds_every_lambda_and_the_best_cost():
    observed, latent = blur(CAMERA[120:260, 120:260], path_kernel(9, seed=2))
    estimate = estimate_kernel(observed, latent, support=21)
    assert tuple(weight for weight, _ in estimate.costs) == LAMBDAS
    assert estimate.cost == min(cost for _, cost in estimate.costs)
    assert dict(estimate.costs)[estimate.regularization] == estimate.cost


def test_path_gets_sparser_with_lambda():
    observed, latent = blur(CAMERA[120:260, 120:260], path_kernel(9, seed=2))
    path = l1_path(gradient_equations(observed, latent, 21, 0.02))
    mass = path.sum(axis=(1, 2))
    assert (np.diff(mass) < 0).all()
    assert (path >= 0).all()


@pytest.mark.parametrize("value", [0.0, 0.37])
def test_flat_image_gives_a_delta(value):
    flat = np.full((90, 100), value, np.float32)
    kernel = estimate_kernel(flat, flat, support=21).kernel
    assert kernel[10, 10] == 1
    assert kernel.sum() == 1


def test_tiles_change_nothing(monkeypatch):
    observed, latent = blur(CAMERA[:300, :340], path_kernel(9, seed=5))
    whole = gradient_equations(observed, latent, 15, 0.02)
    monkeypatch.setattr("runtime.estimation.kernel.single._TILE", 64)
    tiled = gradient_equations(observed, latent, 15, 0.02)
    monkeypatch.setattr("runtime.estimation.kernel.single._MAX_TILES", 100)
    all_tiles = gradient_equations(observed, latent, 15, 0.02)
    # The thresholds come from a sample of the pixels, which the tiles change a little.
    assert all_tiles.energy == pytest.approx(whole.energy, rel=1e-4)
    np.testing.assert_allclose(all_tiles.auto, whole.auto, atol=0.02 * whole.auto.max())
    np.testing.assert_allclose(all_tiles.cross, whole.cross, atol=0.02 * whole.cross.max())
    assert tiled.energy < whole.energy


def test_derivatives_of_a_ramp_and_a_parabola():
    rows, cols = np.mgrid[:12, :15].astype(np.float64)
    first = derivatives(2 * cols + 3 * rows)
    angles = np.pi * np.arange(8) / 8
    np.testing.assert_allclose(first[:8, 4, 4], 2 * np.cos(angles) + 3 * np.sin(angles), atol=1e-6)
    np.testing.assert_allclose(first[8:], 0, atol=1e-6)
    second = derivatives(cols**2 + cols * rows)
    expected = 2 * np.cos(angles) ** 2 + 2 * np.cos(angles) * np.sin(angles)
    np.testing.assert_allclose(second[8:, 4, 4], expected, atol=1e-5)
    assert first.shape == (16, 10, 13)


def test_reports_progress():
    reports = []
    observed, latent = blur(CAMERA[120:220, 120:220], path_kernel(5, seed=2))
    estimate_kernel(observed, latent, support=15, progress=lambda stage, fraction: reports.append((stage, fraction)))
    assert {stage for stage, _ in reports} == {"kernel"}
    assert reports[-1][1] == 1
    assert [f for _, f in reports] == sorted(f for _, f in reports)


PLANE = np.ones((40, 50), np.float32)


@pytest.mark.parametrize(
    ("observed", "latent", "options", "error", "word"),
    [
        (PLANE, PLANE, {"support": 51}, InvalidArgument, "support is 51"),
        (PLANE, PLANE, {"support": 0}, InvalidArgument, "support is 0"),
        (PLANE, PLANE, {"support": 9, "strongest": 0.0}, InvalidArgument, "strongest"),
        (PLANE, PLANE, {"support": 9, "strongest": 1.5}, InvalidArgument, "strongest"),
        (PLANE, PLANE[1:], {"support": 9}, InvalidImage, "one shape"),
        (np.full_like(PLANE, np.nan), PLANE, {"support": 9}, InvalidImage, "observed holds NaN"),
        (PLANE, np.full_like(PLANE, np.inf), {"support": 9}, InvalidImage, "latent holds NaN"),
        (PLANE[None], PLANE, {"support": 9}, InvalidImage, "shape"),
        (np.zeros((0, 5), np.float32), PLANE, {"support": 9}, InvalidImage, "shape"),
        (PLANE.astype(np.uint8), PLANE, {"support": 9}, UnsupportedType, "uint8"),
        ([[1.0]], PLANE, {"support": 9}, UnsupportedType, "list"),
    ],
)
def test_bad_input_is_one_clear_line(observed, latent, options, error, word):
    with pytest.raises(error, match=word) as caught:
        estimate_kernel(observed, latent, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    cupy = pytest.importorskip("cupy")
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no CUDA device: {error}")
    observed, latent = blur(CAMERA[60:330, 90:400], path_kernel(14, seed=4))
    here = estimate_kernel(observed, latent, support=31)
    there = estimate_kernel(cupy.asarray(observed), cupy.asarray(latent), support=31)
    assert isinstance(there.kernel, cupy.ndarray)
    np.testing.assert_allclose(there.kernel.get(), here.kernel, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 2), (2, 900), (900, 3), (5, 2000), (2000, 7)])
def test_strips_of_a_few_pixels_give_a_kernel(shape):
    observed, latent = np.random.default_rng(0).random((2, *shape), np.float32)
    support = min(shape) // 2
    kernel = estimate_kernel(observed, latent, support=support).kernel
    assert kernel.shape == (support, support)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
