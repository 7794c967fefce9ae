import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import fftconvolve

from runtime.blur.periodic import BlurModel, convolve, convolve_adjoint


def _random_kernel(random, shape):
    kernel = random.random(shape).astype(np.float32)
    return kernel / kernel.sum()


sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(shape=sizes, extent=sizes, seed=st.integers(0, 99))
def test_the_model_convolves_as_scipy_does(shape, extent, seed):
    random = np.random.default_rng(seed)
    kernel = _random_kernel(random, tuple(min(k, n) for k, n in zip(extent, shape, strict=True)))
    image = random.random(shape).astype(np.float32)
    model = BlurModel(shape, kernel)
    plane = np.zeros(model.shape, np.float32)
    model.crop(plane)[...] = image
    blurred = model.crop(model.plane(model.transfer * model.spectrum(plane)))
    np.testing.assert_allclose(blurred, fftconvolve(image, kernel, mode="same"), atol=2e-6)


@given(shape=sizes, extent=sizes)
def test_the_plane_contains_all_latent_pixels(shape, extent):
    kernel = np.ones(tuple(min(k, n) for k, n in zip(extent, shape, strict=True)), np.float32)
    model = BlurModel(shape, kernel / kernel.size)
    assert all(n >= m + k - 1 for n, m, k in zip(model.shape, shape, kernel.shape, strict=True))


def test_gradient_power_is_that_of_forward_differences():
    model = BlurModel((20, 31), np.ones((1, 1), np.float32))
    image = np.random.default_rng(0).random(model.shape).astype(np.float32)
    gradients = [np.roll(image, -1, axis) - image for axis in (0, 1)]
    divergence = sum(np.roll(g, 1, axis) - g for axis, g in enumerate(gradients))
    by_spectrum = model.plane(model.gradient_power() * model.spectrum(image))
    np.testing.assert_allclose(by_spectrum, divergence, atol=1e-5)


@given(shape=sizes, seed=st.integers(0, 99))
def test_contrast_is_the_size_of_forward_differences(shape, seed):
    model = BlurModel(shape, np.ones((1, 1), np.float32))
    plane = np.random.default_rng(seed).random(model.shape).astype(np.float32)
    differences = [np.roll(plane, -1, axis) - plane for axis in (0, 1)]
    assert model.contrast(model.spectrum(plane)) == pytest.approx(np.sqrt(np.mean(np.square(differences))), rel=1e-4)


@given(shape=sizes, extent=sizes, seed=st.integers(0, 99))
def test_the_extension_is_linear_keeps_the_image_and_stays_in_its_range(shape, extent, seed):
    random = np.random.default_rng(seed)
    kernel = np.ones(tuple(min(k, n) for k, n in zip(extent, shape, strict=True)), np.float32)
    model = BlurModel(shape, kernel / kernel.size)
    a, b = random.random((2, *shape)).astype(np.float32)
    extended = model.extend(a)
    assert extended.shape == model.shape
    np.testing.assert_array_equal(model.crop(extended), a)
    assert a.min() - 1e-6 <= extended.min()
    assert extended.max() <= a.max() + 1e-6
    np.testing.assert_allclose(model.extend(2 * a - b), 2 * extended - model.extend(b), atol=1e-5)


@given(shape=sizes, extent=sizes, seed=st.integers(0, 99))
def test_folding_is_the_adjoint_of_extending(shape, extent, seed):
    random = np.random.default_rng(seed)
    model = BlurModel(shape, _random_kernel(random, tuple(min(k, n) for k, n in zip(extent, shape, strict=True))))
    image, plane = (random.normal(size=size).astype(np.float32) for size in (shape, model.shape))
    scale = float(np.linalg.norm(image) * np.linalg.norm(plane))
    assert np.vdot(model.extend(image), plane) == pytest.approx(np.vdot(image, model.fold(plane)), abs=1e-5 * scale)


@given(shape=sizes, extent=sizes, seed=st.integers(0, 99))
def test_convolution_has_an_exact_adjoint(shape, extent, seed):
    random = np.random.default_rng(seed)
    kernel = _random_kernel(random, tuple(min(k, n) for k, n in zip(extent, shape, strict=True)))
    a, b = random.normal(size=(2, *shape)).astype(np.float32)
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    forward, backward = np.vdot(convolve(a, kernel), b), np.vdot(a, convolve_adjoint(b, kernel))
    assert forward == pytest.approx(backward, abs=1e-5 * scale)


@pytest.mark.parametrize("shape", [(40, 50), (600, 620)])
def test_a_plane_is_filtered_to_the_last_bit_as_it_was_before(shape):
    """Of large planes NumPy takes the factors of ``response * temporary`` in either order, which rounds differently."""
    random = np.random.default_rng(0)
    model = BlurModel(shape, random.random((7, 5)).astype(np.float32) / 35)
    plane = random.random(model.shape).astype(np.float32)
    spectrum = model.spectrum(plane)
    expected = model.plane(np.multiply(model.transfer, spectrum))
    for _ in range(3):
        np.testing.assert_array_equal(model.filter(plane, model.transfer), expected)
    swapped = model.plane(np.multiply(spectrum, model.transfer))
    np.testing.assert_allclose(swapped, expected, atol=1e-5)
