import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernels.reference.burst as reference
from kernels.burst import BurstAccumulator, BurstState, accumulate, fuse_patches, fuse_weighted, mean_magnitudes
from kernels.cpu.burst import LARGEST_PRODUCT
from kernels.patches import PatchGrid

# Rounding of a magnitude, some 1e-6 of it, is raised to the power p; the average itself is float32.
TOLERANCE = 1e-5

POWERS = st.sampled_from([0, 0.5, 1, 2, 11, 30, 50])
SIGMAS = st.sampled_from([0, 0.4, 1.3, 5, None])
SEEDS = st.integers(0, 2**32)


def tolerance(p):
    return TOLERANCE * (1 + p / 10)


def fresh_state(channels, height, width):
    plane = height, width
    return BurstState(
        np.zeros((channels, *plane), np.complex64),
        np.zeros(plane, np.float32),
        np.zeros(plane, np.float32),
        np.zeros(plane, np.int32),
    )


def random_spectra(rng, shape):
    return rng.standard_normal((*shape, 2), np.float32).view(np.complex64)[..., 0]


def smooth(magnitudes, sigma):
    """Convolve whole spectra with a Gaussian by distances on the circle."""
    if sigma == 0:
        return magnitudes
    for axis in (-2, -1):
        size = magnitudes.shape[axis]
        distances = np.arange(-40 * size, 41 * size)
        weights = np.exp(-0.5 * (distances / sigma) ** 2)
        folded = np.bincount(distances % size, weights)
        rows = [np.roll(magnitudes, shift, axis) * weight for shift, weight in enumerate(folded / folded.sum())]
        magnitudes = sum(rows)
    return magnitudes


def formula(frames, p, sigma):
    """Equations 4 and 5 on frames ``(F, C, H, W)`` as they stand."""
    spectra = np.fft.fft2(frames.astype(np.float64))
    magnitudes = smooth(np.abs(spectra).mean(axis=1), sigma)
    weights = (magnitudes / magnitudes.max(axis=0)) ** p
    weights /= weights.sum(axis=0)
    return np.fft.ifft2((weights[:, None] * spectra).sum(axis=0)).real


def fused(frames, **options):
    accumulator = BurstAccumulator(*frames.shape[1:], **options)
    for frame in frames:
        accumulator.add(frame)
    return accumulator.result()


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40), SEEDS)
def test_mean_magnitudes_equal_reference(face, channels, height, width, seed):
    spectra = random_spectra(np.random.default_rng(seed), (channels, height, width))
    found = face.get(face.burst.mean_magnitudes(face.put(spectra)))
    np.testing.assert_allclose(found, reference.mean_magnitudes(spectra), rtol=1e-6)


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40), POWERS | st.just(np.inf), SEEDS)
def test_accumulating_equals_reference(face, channels, height, width, p, seed):
    rng = np.random.default_rng(seed)
    mine, wanted = fresh_state(channels, height, width), fresh_state(channels, height, width)
    mine = BurstState(*map(face.put, mine))
    for number in range(4):
        spectra = random_spectra(rng, (channels, height, width))
        # Whole numbers, so that frames tie, also at zero and at any power.
        magnitudes = rng.integers(0, 4, (height, width)).astype(np.float32)
        face.burst.accumulate(face.put(spectra), face.put(magnitudes), number, float(p), mine)
        reference.accumulate(spectra, magnitudes, number, p, wanted)
    for found, value in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(face.get(found), value, rtol=1e-5, atol=1e-6)


@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 17), POWERS, SIGMAS, SEEDS)
def test_fused_patches_equal_reference(face, count, frames, size, p, sigma, seed):
    patches = np.random.default_rng(seed).random((count, frames, size, size), np.float32)
    found = face.get(face.burst.fuse_patches(face.put(patches), p, sigma))
    assert (found.dtype, found.shape) == (np.float32, (count, size, size))
    np.testing.assert_allclose(found, reference.fuse_patches(patches, p, sigma), atol=tolerance(p))


@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 17), POWERS, SIGMAS, SEEDS)
def test_patches_fused_by_a_guide_equal_reference(face, count, frames, size, p, sigma, seed):
    patches, guide = np.random.default_rng(seed).random((2, count, frames, size, size), np.float32)
    found = face.get(face.burst.fuse_patches(face.put(patches), p, sigma, face.put(guide)))
    np.testing.assert_allclose(found, reference.fuse_patches(patches, p, sigma, guide), atol=tolerance(p))


@given(st.integers(0, 3), st.integers(1, 5), st.integers(1, 17), SIGMAS, SEEDS)
def test_patches_fused_under_weights_equal_reference(face, count, frames, size, sigma, seed):
    rng = np.random.default_rng(seed)
    patches = rng.random((count, frames, size, size), np.float32)
    weights = rng.random((count, frames, size, size // 2 + 1), np.float32)
    found = face.get(face.burst.fuse_weighted(face.put(patches), face.put(weights), sigma))
    np.testing.assert_allclose(found, reference.fuse_weighted(patches, weights, sigma), atol=TOLERANCE)


def test_weights_are_normalised(face):
    rng = np.random.default_rng(0)
    patches = rng.random((2, 3, 9, 9), np.float32)
    weights = np.zeros((2, 3, 9, 5), np.float32)
    weights[0] += np.float32([1, 2, 5])[:, None, None]  # those of the second burst are zero
    found = face.get(face.burst.fuse_weighted(face.put(patches), face.put(weights)))
    expected = [np.tensordot([1 / 8, 2 / 8, 5 / 8], patches[0], 1), patches[1].mean(axis=0)]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_patches_of_65_pixels(face):
    rng = np.random.default_rng(0)
    patches = rng.random((2, 14, 65, 65), np.float32)
    found = face.get(face.burst.fuse_patches(face.put(patches)))
    np.testing.assert_allclose(found, reference.fuse_patches(patches), atol=tolerance(11))


@pytest.mark.parametrize("size", [LARGEST_PRODUCT, LARGEST_PRODUCT + 1, LARGEST_PRODUCT + 2])
def test_patches_around_the_largest_that_products_transform(face, size):
    rng = np.random.default_rng(1)
    patches, guide = rng.random((2, 2, 3, size, size), np.float32)
    weights = rng.random((2, 3, size, size // 2 + 1), np.float32)
    for p in (2.5, 11):
        found = face.get(face.burst.fuse_patches(face.put(patches), p))
        np.testing.assert_allclose(found, reference.fuse_patches(patches, p), atol=tolerance(p))
    found = face.get(face.burst.fuse_patches(face.put(patches), guide=face.put(guide)))
    np.testing.assert_allclose(found, reference.fuse_patches(patches, guide=guide), atol=tolerance(11))
    found = face.get(face.burst.fuse_weighted(face.put(patches), face.put(weights)))
    np.testing.assert_allclose(found, reference.fuse_weighted(patches, weights), atol=TOLERANCE)


@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 30), st.integers(1, 30), POWERS, SIGMAS, SEEDS)
def test_whole_frames_are_fused_by_the_formula(count, channels, height, width, p, sigma, seed):
    frames = np.random.default_rng(seed).random((count, channels, height, width), np.float32)
    found = fused(frames, p=p, sigma=sigma)
    assert (found.dtype, found.shape) == (np.float32, (channels, height, width))
    wanted = formula(frames, p, min(height, width) / 50 if sigma is None else sigma)
    np.testing.assert_allclose(found, wanted, atol=tolerance(p))


@given(st.permutations(range(5)), POWERS)
def test_order_does_not_matter(order, p):
    frames = np.random.default_rng(1).random((5, 3, 16, 21), np.float32)
    np.testing.assert_allclose(fused(frames[order], p=p), fused(frames, p=p), atol=1e-6)


@given(POWERS | st.just(np.inf))
def test_one_frame_and_equal_frames_come_back(p):
    frame = np.random.default_rng(2).random((3, 20, 15), np.float32)
    for count in (1, 7):
        np.testing.assert_allclose(fused(np.stack([frame] * count), p=p), frame, atol=1e-6)


def test_power_zero_is_the_mean_and_infinity_the_strongest(face):
    rng = np.random.default_rng(3)
    frames = rng.random((4, 3, 12, 10), np.float32)
    np.testing.assert_allclose(fused(frames, p=0), frames.mean(axis=0), atol=1e-6)
    # Each frame keeps other frequencies of one latent image, and of the rest a fifth.
    latent = rng.random((3, 12, 10), np.float32)
    spectrum, owners = np.fft.rfft2(latent), rng.integers(0, 4, (12, 6))
    owners[:, [0, 5]] = 0  # columns of which one half mirrors the other
    parts = [np.fft.irfft2(spectrum * np.where(owners == n, 1, 0.2), s=(12, 10)) for n in range(4)]
    accumulator = BurstAccumulator(3, 12, 10, p=np.inf, sigma=0)
    for part in parts:
        accumulator.add(part.astype(np.float32))
    np.testing.assert_allclose(accumulator.result(), latent, atol=1e-6)
    np.testing.assert_array_equal(accumulator.leaders, owners)
    np.testing.assert_array_equal(accumulator.shares, np.ones((12, 6)))


@pytest.mark.parametrize("scale", [1e-12, 1, 1e9])
@pytest.mark.parametrize("p", [50, np.inf])
def test_no_power_overflows_or_leaves_nothing(face, scale, p):
    rng = np.random.default_rng(4)
    frames = scale * rng.random((3, 1, 16, 16), np.float32)
    frames[1] *= 1e-6
    for found in (
        fused(frames, p=p)[0],
        fused(frames[::-1], p=p)[0],
        face.get(face.burst.fuse_patches(face.put(np.ascontiguousarray(frames[:, 0][None])), p))[0],
    ):
        assert np.isfinite(found).all()
        stronger = formula(frames[[0, 2]], min(p, 1e4), 16 / 50)[0]
        assert np.abs(found - stronger).max() < 1e-2 * scale
    black = np.zeros((2, 1, 8, 8), np.float32)
    assert not fused(black, p=p).any()


def test_weights_say_who_gave_what():
    rng = np.random.default_rng(5)
    frame = rng.random((1, 9, 8), np.float32)
    accumulator = BurstAccumulator(1, 9, 8, p=1, sigma=0)
    for strength in (1, 3, 2):
        accumulator.add(np.float32(strength) * frame)
    assert accumulator.count == 3
    assert accumulator.leaders.dtype == np.int32
    np.testing.assert_array_equal(accumulator.leaders, np.ones((9, 5)))
    np.testing.assert_allclose(accumulator.shares, np.full((9, 5), 0.5), rtol=1e-5)


def test_a_result_can_be_had_on_the_way():
    frames = np.random.default_rng(6).random((3, 1, 8, 9), np.float32)
    accumulator = BurstAccumulator(1, 8, 9)
    accumulator.add(frames[0])
    np.testing.assert_allclose(accumulator.result(), frames[0], atol=1e-6)
    for frame in frames[1:]:
        accumulator.add(frame)
    np.testing.assert_array_equal(accumulator.result(), fused(frames))


def test_blurs_in_different_directions_leave_less_blur_than_each():
    rng = np.random.default_rng(7)
    latent = rng.random((1, 64, 64), np.float32)
    frames = np.stack([sum(np.roll(latent, k, axis) for k in range(-2, 3)) / 5 for axis in (1, 2)])

    def error(image):
        return np.mean((image - latent) ** 2)

    best = min(error(frame) for frame in frames)
    assert error(fused(frames, p=0)) > 0.9 * best
    assert error(fused(frames)) < 0.85 * best


def test_equal_frames_come_back_patch_by_patch(face):
    image = np.random.default_rng(10).random((50, 70), np.float32)
    grid = PatchGrid(50, 70, patch=33, core=33, stride=16)
    patches = face.patches.extract_patches(face.put(image), grid, 0, len(grid))
    bursts = face.put(np.repeat(face.get(patches)[:, None], 3, axis=1))
    back = face.patches.overlap_add(face.burst.fuse_patches(bursts), grid, 0, face.put(np.zeros_like(image)))
    np.testing.assert_allclose(face.get(back), image, atol=TOLERANCE)


def test_output_given_is_filled_and_returned(face):
    rng = np.random.default_rng(8)
    patches, out = face.put(rng.random((2, 3, 8, 8), np.float32)), face.put(np.zeros((2, 8, 8), np.float32))
    assert face.burst.fuse_patches(patches, 11.0, 0.5, out=out) is out
    np.testing.assert_array_equal(face.get(out), face.get(face.burst.fuse_patches(patches, 11.0, 0.5)))
    weights = face.put(rng.random((2, 3, 8, 5), np.float32))
    assert face.burst.fuse_weighted(patches, weights, 0.5, out) is out
    np.testing.assert_array_equal(face.get(out), face.get(face.burst.fuse_weighted(patches, weights, 0.5)))
    spectra, plane = face.put(random_spectra(rng, (3, 4, 5))), face.put(np.zeros((4, 5), np.float32))
    assert face.burst.mean_magnitudes(spectra, plane) is plane
    np.testing.assert_array_equal(face.get(plane), face.get(face.burst.mean_magnitudes(spectra)))


@pytest.mark.gpu
def test_frames_on_a_gpu_are_fused_there():
    import cupy

    frames = np.random.default_rng(9).random((4, 3, 33, 47), np.float32)
    np.testing.assert_allclose(cupy.asnumpy(fused(cupy.asarray(frames))), fused(frames), atol=tolerance(11))


PATCHES, WEIGHTS = np.zeros((2, 3, 9, 9), "f4"), np.zeros((2, 3, 9, 5), "f4")
SPECTRA, PLANE = np.zeros((3, 4, 5), "c8"), np.zeros((4, 5), "f4")
STATE = fresh_state(3, 4, 5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fuse_patches(PATCHES.astype("f8")), TypeError, "patches must be float32"),
        (lambda: fuse_patches(PATCHES[0]), ValueError, "patches must have shape"),
        (lambda: fuse_patches(np.zeros((2, 3, 9, 7), "f4")), ValueError, "square, got 9 x 7"),
        (lambda: fuse_patches(PATCHES[:, :0]), ValueError, "at least one"),
        (lambda: fuse_patches(PATCHES, -1), ValueError, r"p must be from 0 \(mean\)"),
        (lambda: fuse_patches(PATCHES, np.nan), ValueError, "p must be from 0"),
        (lambda: fuse_patches(PATCHES, "2"), TypeError, "p must be a number, got str"),
        (lambda: fuse_patches(PATCHES, sigma=-1), ValueError, "sigma must be finite and 0 or more"),
        (lambda: fuse_patches(PATCHES, sigma=np.inf), ValueError, "sigma must be finite"),
        (lambda: fuse_patches(PATCHES, sigma="2"), TypeError, "sigma must be a number, got str"),
        (lambda: fuse_patches(PATCHES, guide=PATCHES[1:]), ValueError, r"guide must have shape \(2, 3, 9, 9\)"),
        (lambda: fuse_patches(PATCHES, out=PATCHES[0]), ValueError, r"out must have shape \(2, 9, 9\)"),
        (lambda: fuse_weighted(PATCHES, WEIGHTS[:, 1:]), ValueError, r"weights must have shape \(2, 3, 9, 5\)"),
        (lambda: mean_magnitudes(SPECTRA.real), TypeError, "spectra must be complex64, got float32"),
        (lambda: mean_magnitudes(SPECTRA[:0]), ValueError, "number of channels must be at least 1"),
        (lambda: accumulate(SPECTRA, PLANE[1:], 0, 1.0, STATE), ValueError, "magnitudes must have shape"),
        (lambda: accumulate(SPECTRA, PLANE, -1, 1.0, STATE), ValueError, "number must be 0 or more"),
        (lambda: accumulate(SPECTRA, PLANE, 0, 1.0, fresh_state(1, 4, 5)), ValueError, "state.sums must have shape"),
        (lambda: BurstAccumulator(3, 0, 5), ValueError, "height must be at least 1"),
        (lambda: BurstAccumulator(3, 4, 5).result(), ValueError, "add a frame first"),
        (lambda: BurstAccumulator(3, 4, 5).add(np.zeros((3, 4, 6), "f4")), ValueError, "frame must have shape"),
        (lambda: BurstAccumulator(3, 4, 5).add([[0.0]]), TypeError, "expected a numpy or cupy array"),
    ],
)
def test_refuses_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
