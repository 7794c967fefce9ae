import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from skimage import data

from bench.data.motions import blur_along
from bench.data.photographs import shake_kernel
from runtime.blur.blurs import KernelBlur, MotionBlur, PoseBlur
from runtime.blur.poses import Poses
from runtime.colour import from_opponent, luminance, to_opponent
from runtime.decisions.thresholds import KERNEL_ERROR
from runtime.deconvolution import deconvolve
from runtime.deconvolution.chroma import HiddenNoise, combined, hidden_noise, separated
from runtime.deconvolution.uniform import deconvolve_uniform
from runtime.options import DECONVOLUTIONS, Options
from runtime.quality import LEVELS
from runtime.response import LINEAR, SRGB, find_response
from runtime.run import Run

SIDE, MARGIN = 208, 16
KERNEL = shake_kernel(13).astype(np.float32)
FULL, HALF = 0, 2
"""Pillow's numbers for colour differences at the full resolution (4:4:4) and at half of it (4:2:0)."""


def sharp(name="astronaut", top=20, left=110):
    reach = SIDE + 2 * MARGIN
    return np.moveaxis(getattr(data, name)()[top : top + reach, left : left + reach] / np.float32(255), -1, 0)


def inner(planes):
    return np.ascontiguousarray(planes[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def noisy(planes, level, seed=0):
    return planes + level * np.random.default_rng(seed).standard_normal(planes.shape)


def eight_bits(planes):
    """What an 8-bit file without loss keeps of planes."""
    return np.rint(np.clip(planes, 0, 1) * 255).astype(np.float32) / np.float32(255)


def compressed(planes, quality=60, subsampling=HALF, form="JPEG", skip=(0, 0)):
    """What a compressed file keeps of planes, without the first rows and columns."""
    pixels = np.rint(np.moveaxis(np.clip(planes, 0, 1), 0, -1) * 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, quality=quality, subsampling=subsampling)
    kept = np.moveaxis(np.asarray(Image.open(file).convert("RGB")), -1, 0) / np.float32(255)
    return np.ascontiguousarray(kept[:, skip[0] :, skip[1] :])


def blurred(latent, kernel=KERNEL):
    return np.stack([fftconvolve(plane, kernel, mode="same") for plane in latent]).astype(np.float32)


def hidden(planes, valid=None, kernel=KERNEL):
    return hidden_noise(planes, np.ones(planes.shape[1:], bool) if valid is None else valid, [kernel]).levels


def chroma_gains(observed, restored, latent):
    """Return the gains of Cb and Cr in PSNR, in dB, before clipping, which mixes them with the luminance."""
    to_chroma = np.array([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    errors = [np.tensordot(to_chroma, planes - latent, axes=1) for planes in (observed, restored)]
    before, after = (np.square(error).mean(axis=(1, 2)) for error in errors)
    return 10 * np.log10(before / after)


def restore(observed, blur, method=None):
    return deconvolve(observed, blur, Run(Options(quality="fast", nonblind=method)))


@pytest.fixture(scope="module")
def latent():
    return sharp()


@pytest.mark.parametrize("method", DECONVOLUTIONS)
@pytest.mark.parametrize(("quality", "subsampling"), [(60, HALF), (90, FULL)])
def test_colours_of_a_jpeg_get_better(method, quality, subsampling, latent):
    observed = compressed(inner(blurred(latent)), quality, subsampling)
    restored = restore(observed, KernelBlur(KERNEL), method)
    assert min(chroma_gains(observed, restored, inner(latent))) > 0.1


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize("kernel", [shake_kernel(5).astype(np.float32), KERNEL])
def test_colours_of_no_jpeg_get_worse(name, quality, kernel):
    latent = sharp(name)
    observed = compressed(inner(noisy(blurred(latent, kernel), 0.005)), quality)
    restored = restore(observed, KernelBlur(kernel))
    assert min(chroma_gains(observed, restored, inner(latent))) > -0.05


@pytest.mark.parametrize("method", DECONVOLUTIONS)
def test_clean_differences_are_restored_as_without_the_measurement(method, latent):
    observed = eight_bits(inner(noisy(blurred(latent), 0.01)))
    restored = restore(observed, KernelBlur(KERNEL), method)
    effort = LEVELS["fast"].deconvolution
    np.testing.assert_array_equal(
        restored, deconvolve_uniform(observed, KERNEL, effort, method=method, adapt=True, hidden=HiddenNoise())
    )


@pytest.mark.parametrize("kernel", [KERNEL, shake_kernel(25).astype(np.float32), np.full((1, 9), 1 / 9, np.float32)])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry"])
@pytest.mark.parametrize("level", [0.005, 0.01, 0.03])
def test_nothing_is_found_in_clean_photographs(name, kernel, level):
    assert hidden(eight_bits(inner(noisy(blurred(sharp(name), kernel), level))), kernel=kernel) == (0.0, 0.0)


@pytest.mark.parametrize("subsampling", [FULL, HALF])
@pytest.mark.parametrize("skip", [(0, 0), (5, 11)])
def test_the_coarser_the_quantisation_the_more_noise_is_found_wherever_the_blocks_lie(skip, subsampling, latent):
    photograph = inner(noisy(blurred(latent), 0.005))
    levels = [hidden(compressed(photograph, quality, subsampling, skip=skip)) for quality in (95, 85, 60)]
    for finer, coarser in pairwise(levels):
        assert 0 < finer[0] < coarser[0]
        assert 0 < finer[1] < coarser[1]


@pytest.mark.parametrize("kernel", [shake_kernel(7), KERNEL, shake_kernel(25)])
def test_the_level_is_that_of_the_noise(kernel, latent):
    """Twice the amplitude of noise whose spectrum is known, where the kernel begins to block."""
    rng, amplitude, corner = np.random.default_rng(0), 0.03, 0.08
    kernel = kernel.astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    opponent = to_opponent(inner(noisy(blurred(latent, kernel), 0.002)).astype(np.float32))
    for plane in opponent[1:]:
        noise = np.fft.rfft2(rng.standard_normal(plane.shape)) / (1 + (frequency / corner) ** 2)
        plane += amplitude * np.fft.irfft2(noise, plane.shape)
    power = np.square(np.abs(np.fft.rfft2(kernel, (SIDE, SIDE))))
    lengths = np.arange(0.02, 0.5, 0.01)
    passed = [power[np.abs(frequency - length) < 0.005].mean() for length in lengths]
    cutoff = min(lengths[np.argmax(np.array(passed) < np.exp(-1))], 0.13)
    expected = 2 * amplitude / (1 + (cutoff / corner) ** 2)
    np.testing.assert_allclose(hidden(from_opponent(opponent), kernel=kernel), [expected] * 2, rtol=0.35)


@pytest.mark.parametrize("factor", [0.6, 0.8])
@pytest.mark.parametrize("quality", [40, 90])
@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("side_of_kernel", [5, 13])
def test_colours_of_no_resized_jpeg_get_worse(name, quality, factor, side_of_kernel):
    """A photograph that was sent by a messenger: nothing is left of the grid of blocks."""

    def resized(planes, side):
        return np.stack([Image.fromarray(plane).resize((side, side), Image.BICUBIC) for plane in np.float32(planes)])

    side, latent, shake = round(SIDE * factor), sharp(name), shake_kernel(side_of_kernel).astype(np.float32)
    kernel = np.clip(resized(np.pad(shake, 3)[None], round((side_of_kernel + 6) * factor) | 1)[0], 0, None)
    kernel /= kernel.sum()
    observed = eight_bits(resized(compressed(inner(noisy(blurred(latent, shake), 0.005)), quality), side))
    restored = restore(observed, KernelBlur(kernel))
    assert min(chroma_gains(observed, restored, resized(inner(latent), side))) > -0.05


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_a_photograph_without_any_noise_is_restored_all_the_same(name):
    """What seems to be noise there is little, next to what is gained."""
    latent = sharp(name)
    observed = eight_bits(inner(blurred(latent)))
    assert min(chroma_gains(observed, restore(observed, KernelBlur(KERNEL)), inner(latent))) > 3


def test_no_blur_amplifies_no_noise(latent):
    """A point passes everything, and nothing can be told apart."""
    assert hidden(compressed(inner(latent), 30), kernel=np.ones((1, 1), np.float32)) == (0.0, 0.0)


def test_other_codecs_store_blocks_too(latent):
    assert min(hidden(compressed(inner(blurred(latent)), 80, form="WEBP"))) > 0


def test_pixels_that_are_not_valid_are_not_read(latent):
    photograph = eight_bits(inner(noisy(blurred(latent), 0.005)))
    spoiled, valid = photograph.copy(), np.ones(photograph.shape[1:], bool)
    spoiled[:, :, 100:116] = 1e30
    spoiled[:, 40:72, 30:60] = compressed(noisy(photograph[:, 40:72, 30:60], 0.1), 5)
    valid[:, 100:116] = valid[40:72, 30:60] = False
    assert hidden(spoiled, valid) == (0.0, 0.0)
    stored = compressed(photograph)
    masked = np.where(valid, stored, np.float32(1e30))
    np.testing.assert_allclose(hidden(masked, valid), hidden(stored), rtol=0.3)
    assert hidden(masked, np.zeros_like(valid)) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (20, 20), (40, 31), (17, 400)])
def test_photographs_of_any_shape_are_measured(shape):
    levels = hidden(np.random.default_rng(0).random((3, *shape)).astype(np.float32))
    assert np.isfinite(levels).all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_only_three_planes_have_colour_differences(count):
    assert hidden(compressed(np.random.default_rng(0).random((3, 96, 96)), 30)[:1].repeat(count, axis=0)) == (0, 0)


def test_grey_has_none(latent):
    grey = np.repeat(inner(blurred(latent)).mean(axis=0, keepdims=True), 3, axis=0)
    assert hidden(compressed(grey)) == (0.0, 0.0)


def with_blotches(planes, level, size):
    opponent = to_opponent(planes)
    for index in (1, 2):
        blotches = gaussian_filter(np.random.default_rng(index).standard_normal(planes.shape[1:]), size)
        opponent[index] += level * blotches / blotches.std()
    return eight_bits(from_opponent(opponent))


@pytest.mark.parametrize(("level", "size"), [(0.01, 1.5), (0.02, 1.0)])
def test_blotches_do_not_grow(level, size, latent):
    observed = with_blotches(inner(blurred(latent)), level, size)
    restored = restore(observed, KernelBlur(KERNEL))
    assert min(chroma_gains(observed, restored, inner(latent))) > 1


@pytest.mark.parametrize("quality", [75, 95])
def test_colours_of_a_jpeg_get_no_worse_along_a_motion(quality, latent):
    down, right = np.mgrid[:SIDE, :SIDE] / SIDE
    field = np.stack([3 + 8 * right, 30 + 60 * down], axis=-1).astype(np.float32)
    sharp_planes = inner(latent)
    moved = np.moveaxis(blur_along(np.ascontiguousarray(np.moveaxis(sharp_planes, 0, -1)), field), -1, 0)
    observed = compressed(moved, quality)
    reports = []
    run = Run(Options(quality="fast"), progress=lambda *report: reports.append(report))
    restored = deconvolve(observed, MotionBlur(field), run)
    assert min(chroma_gains(observed, restored, sharp_planes)) > -0.05
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_colours_of_a_jpeg_get_better_under_a_camera_that_rolled(latent):
    weights = np.zeros((5, 7, 7))
    weights[range(5), 3, range(1, 6)] = 0.2
    blur = PoseBlur(Poses(weights, np.linspace(-0.03, 0.03, 5)))
    observed = compressed(blur.apply(inner(latent)))
    assert min(chroma_gains(observed, restore(observed, blur), inner(latent))) > 0


def test_a_jpeg_with_some_clipped_colours_keeps_its_colours(latent):
    bright = latent * np.array([1.09, 1.0, 1.0], np.float32)[:, None, None]
    observed = compressed(inner(blurred(bright)))
    clipped = observed >= 0.98
    assert 0.02 < (clipped.any(axis=0) & ~clipped.all(axis=0)).mean() < 0.1
    restored = restore(observed, KernelBlur(KERNEL))
    assert min(chroma_gains(observed, restored, inner(np.clip(bright, 0, 1)))) > -0.05


@pytest.mark.parametrize("response", [LINEAR, SRGB, find_response(2.2)])
@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (130, 3)])
def test_the_luma_of_light_and_differences_of_stored_values_give_the_light_back(response, shape):
    light = np.random.default_rng(0).uniform(-0.05, 3, (3, *shape)).astype(np.float32)
    np.testing.assert_allclose(combined(separated(light, response), response), light, atol=2e-4)


def test_another_luma_keeps_the_differences_of_stored_values():
    light = np.random.default_rng(0).uniform(0, 1, (3, 9, 8)).astype(np.float32)
    parts = separated(light, SRGB)
    parts[0] *= 0.3
    differences = parts[1:].copy()
    restored = combined(parts, SRGB)
    np.testing.assert_allclose(luminance(restored), 0.3 * luminance(light), atol=1e-4)
    np.testing.assert_allclose(to_opponent(SRGB.from_light(restored))[1:], differences, atol=1e-4)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
@pytest.mark.parametrize("quality", [40, 75])
def test_colours_of_a_jpeg_that_was_blurred_as_light_get_no_worse(name, quality):
    latent = sharp(name)
    observed = compressed(inner(SRGB.from_light(blurred(SRGB.to_light(latent)).clip(0, 1))), quality)
    run = Run(Options(quality="fast")).in_light(SRGB, luminance(observed))
    light = deconvolve(SRGB.to_light(observed), KernelBlur(KERNEL), run, kernel_error=KERNEL_ERROR)
    assert min(chroma_gains(observed, SRGB.from_light(light), inner(latent))) > -0.05


@pytest.mark.parametrize("quality", [25, 40, 60])
def test_colours_of_a_jpeg_that_is_white_for_the_most_part_get_no_worse(quality, latent):
    scene = np.ones_like(latent)
    scene[:, 120:190, 30:110] = latent[:, 120:190, 30:110]
    observed = compressed(inner(blurred(np.pad(scene, ((0, 0), (6, 6), (6, 6)), mode="edge")))[:, 6:-6, 6:-6], quality)
    assert (observed >= 0.98).all(axis=0).mean() > 0.5
    restored = restore(observed, KernelBlur(KERNEL))
    assert min(chroma_gains(observed, restored, inner(scene))) > -0.05


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("columns", [40, 104, 160])
def test_nothing_is_found_in_a_clean_photograph_of_which_a_part_is_unknown(name, columns):
    planes = eight_bits(inner(noisy(blurred(sharp(name)), 0.004)))
    valid = np.ones(planes.shape[1:], bool)
    valid[:, :columns] = False
    assert hidden(planes, valid) == (0.0, 0.0)


@pytest.mark.gpu
def test_a_gpu_measures_alike(latent):
    import cupy

    observed = compressed(inner(blurred(latent)))
    found = hidden_noise(cupy.asarray(observed), cupy.ones(observed.shape[1:], bool), [cupy.asarray(KERNEL)])
    np.testing.assert_allclose(found.levels, hidden(observed), rtol=1e-3)


def turn(height, width):
    """Motions about a point inside, which is hardly blurred."""
    row, col = np.mgrid[:height, :width].astype(np.float32)
    across, down = (col - 0.4 * width) / 11, (row - 0.3 * height) / 11
    return np.stack([np.hypot(across, down), np.degrees(np.arctan2(-across, -down))], axis=-1).astype(np.float32)


def inside(field):
    return np.ascontiguousarray(field[MARGIN:-MARGIN, MARGIN:-MARGIN])


@pytest.mark.parametrize(("form", "quality"), [("JPEG", 90), ("JPEG", 60), ("WEBP", 60)])
def test_colours_of_what_was_stored_get_no_worse_in_a_turn(form, quality, latent):
    """Where the middle is sharp the spectrum does not tell noise from detail, but half the resolution shows."""
    field = turn(*latent.shape[1:])
    observed = compressed(inner(noisy(MotionBlur(field).apply(latent), 0.01)), quality, form=form)
    restored = restore(observed, MotionBlur(inside(field)))
    assert min(chroma_gains(observed, restored, inner(latent))) > -0.05


MOTION = MotionBlur(np.full((SIDE + 2 * MARGIN, SIDE + 2 * MARGIN, 2), 12, np.float32))


@pytest.mark.parametrize(
    ("blur", "quality", "least"),
    [(KernelBlur(KERNEL), 40, 5.1), (KernelBlur(KERNEL), 75, 6.8), (MOTION, 40, 3.0), (MOTION, 75, 4.5)],
)
def test_the_noise_of_blocks_is_not_taken_for_detail(blur, quality, least, latent):
    """With the noise that the highest frequencies show, which storage has smoothed, less of the luminance is gained."""
    seen = MotionBlur(inside(blur.field)) if isinstance(blur, MotionBlur) else blur
    observed = compressed(inner(noisy(blur.apply(latent), 0.01)), quality)
    errors = [luminance(planes - inner(latent)) for planes in (observed, restore(observed, seen))]
    before, after = (np.square(error).mean() for error in errors)
    assert 10 * np.log10(before / after) > least


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_blocks_of_light_are_measured_in_stored_values(channels, latent):
    observed = compressed(inner(blurred(latent)), 40)[:channels]
    read = np.ones(observed.shape[1:], bool)
    stored, light = hidden_noise(observed, read, [KERNEL]), hidden_noise(SRGB.to_light(observed), read, [KERNEL], SRGB)
    assert stored.luma > 0.005
    assert light.luma == pytest.approx(stored.luma, rel=1e-3)
