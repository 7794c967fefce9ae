"""The evidence says what it claims, and contrast makes no difference to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import fft

from runtime.blur.kernel import fit, normalise, similarity
from runtime.estimation.kernel.correlations import from_periodic
from runtime.estimation.kernel.evidence import CHANNELS, PriorAssumptions, lay_out, least_squares
from runtime.estimation.kernel.features import Features, Scene

ASSUMES = PriorAssumptions(4, 7, 0.04, 0.15, (0.01, 0.1), 0.03, 3.0, 6.0, 1e-4)


def blur(image, kernel):
    """Periodic convolution."""
    padded = np.zeros(image.shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    middle = ((kernel.shape[0] - 1) // 2, (kernel.shape[1] - 1) // 2)
    transfer = fft.rfft2(np.roll(padded, (-middle[0], -middle[1]), axis=(0, 1)))
    return fft.irfft2(transfer * fft.rfft2(image), s=image.shape)


def equations_of(kernel, support, contrast=1.0, seed=0, side=40):
    """Of white planes (2, side, side), sharp and blurred."""
    latent = contrast * np.random.default_rng(seed).standard_normal((2, side, side))
    observed = np.stack([blur(plane, kernel) for plane in latent])
    return from_periodic(latent.astype(np.float32), observed.astype(np.float32), support)


@settings(max_examples=10)
@given(support=st.integers(1, 4), ridge=st.floats(0.01, 0.5), seed=st.integers(0, 1000))
def test_least_squares_is_the_direct_solution(support, ridge, seed):
    # Planes as large as the grid of lags, so that nothing is cut and the dense system is exactly the same.
    side = 2 * support
    latent, observed = np.random.default_rng(seed).standard_normal((2, 3, side, side)).astype(np.float32)
    shifts = [(rows, cols) for rows in range(side) for cols in range(side)]
    columns = np.stack([np.roll(latent, by, axis=(1, 2)).ravel() for by in shifts], axis=1).astype(np.float64)
    level = ridge * np.sum(latent.astype(np.float64) ** 2)
    direct = np.linalg.solve(columns.T @ columns + level * np.eye(side**2), columns.T @ observed.ravel())
    equations = from_periodic(latent, observed, support)
    expected = equations.extract(direct.reshape(side, side))
    # The planes are transformed in single precision.
    np.testing.assert_allclose(least_squares(equations, ridge), expected, atol=2e-6 * np.abs(direct).max())


def test_least_squares_finds_the_kernel(kernel):
    side = max(kernel.shape) | 1
    found = least_squares(equations_of(fit(kernel, side), side, side=200), 0.01)
    assert similarity(found, fit(kernel, side)) > 0.99


@settings(max_examples=10)
@given(contrast=st.floats(0.05, 20))
def test_contrast_makes_no_difference_to_the_planes(contrast):
    rng = np.random.default_rng(0)
    kernel = normalise(rng.random((7, 7)))
    scene = Scene(rng.random((7, 7)), 0.1)
    first, second = (
        lay_out(kernel, Features(*[equations_of(kernel, 7, factor)] * 2, scene), ASSUMES) for factor in (1.0, contrast)
    )
    np.testing.assert_allclose(second, first, rtol=1e-3, atol=1e-4)


def test_planes_are_laid_out_as_described():
    rng = np.random.default_rng(1)
    truth, estimate = normalise(rng.random((7, 7))), normalise(rng.random((7, 7)))
    strong, wide = equations_of(truth, 7, seed=1), equations_of(truth, 7, seed=2)
    scene = Scene(rng.random((7, 7)), 0.01)
    planes = lay_out(estimate, Features(strong, wide, scene), ASSUMES)
    assert planes.shape == (CHANNELS, 7, 7)
    assert planes.dtype == np.float32
    unit = ASSUMES.level / np.linalg.norm(estimate)
    expected = [
        estimate * unit,
        *(least_squares(strong, ridge) * unit for ridge in ASSUMES.ridges),
        least_squares(wide, ASSUMES.wide_ridge) * unit,
        scene.correlation * ASSUMES.level,
    ]
    np.testing.assert_allclose(planes[:5], expected, rtol=1e-5)
    assert np.linalg.norm(planes[0]) == pytest.approx(ASSUMES.level)
    for plane, value in zip(planes[5:], (1 - strong.cost(estimate) / strong.energy, -2, 1), strict=True):
        np.testing.assert_allclose(plane, value, rtol=1e-5)


def test_the_true_kernel_explains_everything_and_another_does_not():
    kernel = normalise(np.random.default_rng(0).random((5, 5)))
    equations = equations_of(kernel, 5)
    features = Features(equations, equations, Scene(np.zeros((5, 5)), 0.1))
    assert lay_out(kernel, features, ASSUMES)[5, 0, 0] == pytest.approx(1, abs=1e-4)
    assert lay_out(kernel[::-1, ::-1], features, ASSUMES)[5, 0, 0] < 0.95


def test_a_flat_image_gives_finite_evidence():
    scene = Scene.of(np.full((40, 44), 0.5, np.float32), 0.0, 9)
    nothing = from_periodic(*np.zeros((2, 2, 40, 44), np.float32), 9)
    assert np.isfinite(lay_out(normalise(np.ones((9, 9))), Features(nothing, nothing, scene), ASSUMES)).all()
    assert not least_squares(nothing, 0.1).any()
