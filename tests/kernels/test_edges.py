"""Every face takes differences and sharpens edges as the reference does, on a torus."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.edges as reference
from kernels.edges import SAMPLE, forward_differences, keep_strongest, shock_filter

SIDES, SEEDS = st.integers(1, 90), st.integers(0, 99)


def noise(rows, cols, seed):
    return np.random.default_rng(seed).normal(size=(rows, cols)).astype(np.float32)


@given(SIDES, SIDES, SEEDS)
def test_differences_equal_reference(face, rows, cols, seed):
    image = noise(rows, cols, seed)
    found = face.get(face.edges.forward_differences(face.put(image)))
    assert found.shape == (2, rows, cols)
    np.testing.assert_allclose(found, reference.forward_differences(image), rtol=1e-6)


@given(SIDES, SIDES, SEEDS, st.floats(0.1, 0.7))
def test_a_step_equals_reference(face, rows, cols, seed, step):
    image = noise(rows, cols, seed)
    found = face.get(face.edges.shock_filter(face.put(image), step, 1))
    assert found.dtype == np.float32
    # Elsewhere rounding decides in which direction a value moves.
    sure = np.abs(reference._curvature(image.astype(np.float64))) > 1e-4
    assert sure.mean() > 0.9 or min(rows, cols) < 3 or image.size < 100
    expected = reference.shock_filter(image, step, 1)
    np.testing.assert_allclose(found[sure], expected[sure], atol=1e-5)


@given(SIDES, SIDES, SEEDS, st.integers(2, 10))
def test_iterations_follow_one_another(face, rows, cols, seed, iterations):
    image = face.put(noise(rows, cols, seed))
    together, single = face.edges.shock_filter(image, 0.4, iterations), image
    for _ in range(iterations):
        single = face.edges.shock_filter(single, 0.4, 1)
    np.testing.assert_array_equal(face.get(together), face.get(single))


@given(SEEDS, st.integers(0, 60), st.integers(0, 60))
def test_a_shifted_image_is_shifted(face, seed, down, across):
    image = noise(37, 52, seed)
    shifted = np.roll(image, (down, across), axis=(0, 1))
    found, expected = (face.get(face.edges.shock_filter(face.put(each), 0.4, 4)) for each in (shifted, image))
    np.testing.assert_array_equal(found, np.roll(expected, (down, across), axis=(0, 1)))


@given(SEEDS)
def test_no_value_leaves_the_range_of_its_neighbours(face, seed):
    image = noise(41, 38, seed)
    found = face.get(face.edges.shock_filter(face.put(image), 0.7, 1))
    near = [np.roll(image, shift, axis) for axis in (0, 1) for shift in (-1, 0, 1)]
    assert (found <= np.max(near, axis=0) + 1e-6).all()
    assert (found >= np.min(near, axis=0) - 1e-6).all()


def test_a_blurred_edge_becomes_a_step_where_it_is(face):
    blurred = (1 + np.tanh((np.arange(64) - 31.7) / 4)) / 2
    image = np.tile(blurred.astype(np.float32), (32, 1))
    found = face.get(face.edges.shock_filter(face.put(image), 0.4, 40))[:, 16:48]
    np.testing.assert_allclose(found, np.tile(np.arange(16, 48) > 31.7, (32, 1)), atol=0.05)


@pytest.mark.parametrize("gain", [0.25, -8.0])
def test_contrast_does_not_matter(face, gain):
    image = noise(30, 43, 0)
    found, expected = (face.get(face.edges.shock_filter(face.put(each), 0.4, 4)) for each in (gain * image, image))
    np.testing.assert_array_equal(found, np.float32(gain) * expected)


def test_flat_images_stay_as_they_are(face):
    image = np.full((20, 30), 0.7, np.float32)
    np.testing.assert_array_equal(face.get(face.edges.shock_filter(face.put(image), 0.4, 4)), image)
    assert not face.get(face.edges.forward_differences(face.put(image))).any()


@given(SIDES, SIDES, SEEDS, st.sampled_from([0.0, 0.04, 0.3, 0.5, 1.0]), st.booleans())
def test_the_strongest_equal_reference(face, rows, cols, seed, share, few_values):
    edges = np.stack([noise(rows, cols, seed), noise(rows, cols, seed + 1)])
    edges = np.round(edges) if few_values else edges  # Many are equal then.
    found = face.get(face.edges.keep_strongest(face.put(edges), share))
    expected = reference.keep_strongest(edges, share)
    # Where rounding decides nothing.
    magnitude = np.hypot(*edges.astype(np.float64))
    least = magnitude[expected.any(axis=0)].min(initial=np.inf)
    sure = np.abs(magnitude - least) > 1e-6 * least
    np.testing.assert_array_equal(found[:, sure], expected[:, sure])
    assert (~sure).sum() <= max(0.005 * magnitude.size, (magnitude == least).sum(), 1)


@given(share=st.floats(0.05, 1), seed=SEEDS)
def test_the_strongest_are_as_many_as_asked_for(face, share, seed):
    edges = np.stack([noise(60, 64, seed), noise(60, 64, seed + 1)])
    kept = face.get(face.edges.keep_strongest(face.put(edges), share))
    there = np.any(kept != 0, axis=0)
    assert np.mean(there) == pytest.approx(share, abs=2 / there.size)
    np.testing.assert_array_equal(kept[:, there], edges[:, there])
    magnitude = np.hypot(*edges)
    assert magnitude[there].min() >= magnitude[~there].max(initial=0)


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_the_strongest_of_many_are_about_that_share(face, share):
    edges = np.stack([noise(2, 5 * SAMPLE // 3, 0), noise(2, 5 * SAMPLE // 3, 1)])
    found = face.get(face.edges.keep_strongest(face.put(edges), share))
    assert found.any(axis=0).mean() == pytest.approx(share, rel=0.02)
    np.testing.assert_array_equal(found[found != 0], edges[found != 0])


IMAGE = np.zeros((2, 3), "f4")
EDGES = np.zeros((2, 2, 3), "f4")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: forward_differences([0.5]), TypeError, "expected a numpy or cupy array, got list"),
        (lambda: forward_differences(IMAGE[0]), ValueError, r"image must have shape \(any, any\), got \(3,\)"),
        (lambda: forward_differences(IMAGE[:0]), ValueError, "give at least one pixel"),
        (lambda: shock_filter(IMAGE.astype("f8"), 0.4, 1), TypeError, "image must be float32, got float64"),
        (lambda: shock_filter(IMAGE.T, 0.4, 1), ValueError, "image must be C-contiguous"),
        (lambda: shock_filter(IMAGE, 0.0, 1), ValueError, "step must be positive"),
        (lambda: shock_filter(IMAGE, None, 1), TypeError, "step must be a number, got NoneType"),
        (lambda: shock_filter(IMAGE, 0.4, 0), ValueError, "iterations must be at least 1"),
        (lambda: shock_filter(IMAGE, 0.4, 1.5), TypeError, "iterations must be an integer"),
        (lambda: keep_strongest(EDGES.astype("f8"), 0.1), TypeError, "edges must be float32, got float64"),
        (lambda: keep_strongest(IMAGE, 0.1), ValueError, r"edges must have shape \(2, any, any\), got \(2, 3\)"),
        (lambda: keep_strongest(EDGES[..., ::-1], 0.1), ValueError, "edges must be C-contiguous"),
        (lambda: keep_strongest(EDGES[..., :0], 0.1), ValueError, "give at least one gradient"),
        (lambda: keep_strongest(EDGES, 1.1), ValueError, r"share must be in \[0, 1\], got 1.1"),
        (lambda: keep_strongest(EDGES, "all"), TypeError, "share must be a number, got str"),
    ],
)
def test_refuses_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
