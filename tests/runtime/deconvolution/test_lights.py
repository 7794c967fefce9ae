import numpy as np
import pytest
from scipy.signal import fftconvolve

from bench.data.photographs import shake_kernel
from runtime.blur.blurs import PoseBlur
from runtime.blur.poses import Poses
from runtime.deconvolution import lights as module
from runtime.deconvolution.along_poses import deconvolve_along_poses
from runtime.deconvolution.lights import restore_lights
from runtime.deconvolution.uniform import deconvolve_uniform
from runtime.quality import LEVELS
from runtime.response import LINEAR, SRGB

KERNEL = shake_kernel(15).astype(np.float32)
REACH = len(KERNEL) // 2
WHITE = 0.95


def scene(seed=0, side=120, lamps=6, brightness=8.0):
    """Dark surroundings with small lamps, far brighter than white: as they are, and as they are seen."""
    random = np.random.default_rng(seed)
    sharp = np.full((side + 2 * REACH,) * 2, 0.05, np.float32)
    sharp[side // 2 :] = 0.15
    for row, col in random.integers(30, side - 15, (lamps, 2)):
        sharp[row : row + 5, col : col + 4] = brightness
    observed = fftconvolve(sharp, KERNEL, "valid").astype(np.float32)
    observed += 0.002 * random.standard_normal(observed.shape).astype(np.float32)
    return np.ascontiguousarray(sharp[REACH:-REACH, REACH:-REACH]), observed.clip(0, 1)


def restored(observed, **options):
    return deconvolve_uniform(observed[None], KERNEL, LEVELS["fast"].deconvolution, **options)


def error(latent, sharp):
    return float(np.square(latent.clip(0, 1) - sharp.clip(0, 1)).mean())


@pytest.mark.parametrize("seed", range(3))
def test_lamps_are_restored_far_better_than_without_what_clipped_pixels_say(seed):
    sharp, observed = scene(seed)
    assert (observed >= 0.98).mean() > 0.01
    with_lights, without = restored(observed, response=SRGB)[0], restored(observed)[0]
    assert error(with_lights, sharp) < 0.6 * error(without, sharp)


@pytest.mark.parametrize("seed", range(3))
def test_a_kernel_that_is_known_exactly_says_more(seed):
    sharp, observed = scene(seed)
    exact, estimated = (restored(observed, response=SRGB, kernel_error=error_)[0] for error_ in (0.0, 1e-9))
    assert error(exact, sharp) < error(estimated, sharp)


def test_a_photograph_without_clipped_pixels_is_left_alone():
    _, observed = scene(brightness=0.6)
    assert observed.max() < 0.98
    np.testing.assert_array_equal(restored(observed, response=SRGB), restored(observed))


def test_what_no_lamp_reaches_is_left_alone():
    _, observed = scene(lamps=1)
    clipped = observed[None] >= WHITE
    before = np.full_like(observed, 0.3)[None]
    after = before.copy()
    restore_lights(observed[None], after, KERNEL, WHITE)
    rows, cols = np.nonzero(clipped[0])
    far = np.ones(observed.shape, bool)
    reach = 2 * len(KERNEL)
    far[max(rows.min() - reach, 0) : rows.max() + reach, max(cols.min() - reach, 0) : cols.max() + reach] = False
    assert far.any()
    np.testing.assert_allclose(after[0][far], 0.3, atol=1e-3)
    assert np.abs(after - before).max() > 0.1


def test_light_is_never_below_nothing_around_a_lamp():
    _, observed = scene(lamps=1)
    clipped = observed[None] >= WHITE
    latent = np.full_like(observed, -1.0)[None]
    restore_lights(observed[None], latent, KERNEL, WHITE)
    rows, cols = (int(np.median(at)) for at in np.nonzero(clipped[0]))
    assert latent[0, rows - 3 : rows + 4, cols - 3 : cols + 4].min() >= 0


def test_without_a_blur_nothing_changes():
    _, observed = scene()
    clipped = observed[None] >= WHITE
    latent = observed[None].copy()
    restore_lights(observed[None], latent, np.ones((1, 1), np.float32), WHITE)
    np.testing.assert_allclose(latent[0].clip(0, 1)[~clipped[0]], observed[~clipped[0]], atol=2e-3)
    assert latent[0][clipped[0]].min() >= WHITE - 1e-3


def test_unknown_pixels_say_nothing():
    _, observed = scene()
    spoiled, known = observed.copy(), np.ones(observed.shape, bool)
    known[60:64, 40:60] = False
    spoiled[~known] = 0.9

    def change(known):
        """The largest change of the restoration, away from the spoiled pixels, by what they hold."""
        latents = []
        for image in (observed, spoiled):
            latent = np.zeros_like(observed)[None]
            restore_lights(image[None], latent, KERNEL, WHITE, known)
            latents.append(latent[0])
        far = np.ones(observed.shape, bool)
        far[60 - REACH : 64 + REACH, 40 - REACH : 60 + REACH] = False
        return float(np.abs(latents[0] - latents[1])[far].max())

    # The iterations start from the image, so that a trace of it remains.
    assert change(known) < 0.2 * change(np.ones_like(known))


@pytest.mark.parametrize("shape", [(33, 200), (16, 16), (40, 41)])
def test_photographs_of_any_shape(shape, rng):
    planes = rng.uniform(0, 1, (3, *shape)).astype(np.float32)
    latent = planes.copy()
    restore_lights(planes, latent, KERNEL, WHITE)
    assert np.isfinite(latent).all()


def test_lamps_are_restored_under_the_poses_of_a_camera_too():
    sharp, observed = scene()
    blur, effort = PoseBlur(Poses(KERNEL[None].astype(np.float64), np.zeros(1))), LEVELS["fast"].deconvolution
    with_lights, without = (
        deconvolve_along_poses(observed[None], blur, effort, response=response)[0] for response in (SRGB, LINEAR)
    )
    assert error(with_lights, sharp) < 0.6 * error(without, sharp)


def wide_scene(lamps, shape=(610, 700)):
    """Lamps that are far brighter than white on a gradient, as they are seen in three colours."""
    random = np.random.default_rng(5)
    sharp = np.tile(np.linspace(0.05, 0.3, shape[1] + 2 * REACH), (shape[0] + 2 * REACH, 1))
    for row, col in random.integers(40, np.array(shape) - 20, (lamps, 2)):
        sharp[row : row + 6, col : col + 5] = 6.0
    observed = fftconvolve(sharp, KERNEL, "valid") + 0.002 * random.standard_normal(shape)
    return (observed * np.array([1.0, 0.9, 0.5])[:, None, None]).astype(np.float32).clip(0, 1)


def in_tiles_of(monkeypatch, core, planes, **options):
    """The restoration in tiles of one size, and the shapes of those that were looked at."""
    shapes, iterate = [], module._iterate

    def recorded(lights, model, exact):
        shapes.append(model.shape)
        return iterate(lights, model, exact)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_CORES", (core,))
        patch.setattr(module, "_iterate", recorded)
        latent = np.minimum(planes, 0.5)
        restore_lights(planes, latent, KERNEL, WHITE, **options)
    return latent, shapes


@pytest.mark.parametrize("lamps", [5, 300])
@pytest.mark.parametrize("stored", [None, SRGB])
def test_tiles_do_not_show(monkeypatch, lamps, stored):
    planes = wide_scene(lamps)
    whole, _ = in_tiles_of(monkeypatch, 1024, planes, stored=stored)
    tiled, shapes = in_tiles_of(monkeypatch, 256, planes, stored=stored)
    assert len(set(shapes)) > 1 or len(shapes) > 3
    difference = np.abs(tiled.clip(0, 1) - whole.clip(0, 1))
    assert difference.max() < 0.01
    assert np.square(difference).mean() ** 0.5 < 1e-4


def test_tiles_without_lights_are_left_out(monkeypatch):
    planes = wide_scene(0, (900, 1100))
    planes[:2, 300:306, 400:405] = 1
    few, shapes = in_tiles_of(monkeypatch, 256, planes)
    assert len(shapes) == 2  # of the planes that are clipped, one tile each
    assert max(side for shape in shapes for side in shape) < 400
    chosen = np.minimum(planes, 0.5)
    restore_lights(planes, chosen, KERNEL, WHITE)
    np.testing.assert_array_equal(chosen, few)


def test_few_large_tiles_are_taken_where_lights_are_many(monkeypatch):
    planes = wide_scene(300)
    large, shapes = in_tiles_of(monkeypatch, 1024, planes)
    assert len(shapes) == len(planes)
    chosen = np.minimum(planes, 0.5)
    restore_lights(planes, chosen, KERNEL, WHITE)
    np.testing.assert_array_equal(chosen, large)


@pytest.mark.parametrize("frame", [((0, 0), (0, 0)), ((3, 4), (0, 1)), ((35, 35), (40, 40))])
def test_zeros_around_a_kernel_cost_nothing(frame):
    kernel = np.pad(KERNEL[1:, 2:-1], frame)
    origin = np.array([(side - 1) // 2 for side in kernel.shape])
    planes = wide_scene(0, (100, 120))
    cropped, _ = module._kernel_and_lit_cells(planes, kernel, WHITE)
    assert cropped.sum() == pytest.approx(kernel.sum())
    assert max(cropped.shape) <= len(KERNEL) + 2 * max(np.abs(np.diff(frame)).max(), 2)
    at, moved = (np.argwhere(each == each.max())[0] for each in (kernel, cropped))
    np.testing.assert_array_equal(at - origin, moved - [(side - 1) // 2 for side in cropped.shape])
