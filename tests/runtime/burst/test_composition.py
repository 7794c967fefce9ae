import numpy as np
import pytest

from runtime.burst.composition import Composer, Unsuitable
from runtime.burst.grid import block_means
from runtime.burst.registration import resample
from tests.support.bursts import banded, exposed, psnr, scene, shaded, shaken, shaken_each, walking_box

SHAPE = (180, 240)


@pytest.fixture(scope="module")
def frames():
    return shaken(scene(), 3, noise=0.002)


def test_an_equally_exposed_frame_that_agrees_is_not_touched(frames):
    composer = Composer(frames[0].copy(), None)
    assert not composer.incomplete
    for frame in frames:
        assert composer.compose(frame, None) is frame
    np.testing.assert_array_equal(composer.planes, frames[0])


@pytest.mark.parametrize("stops", [-2, -1, 1])
def test_a_frame_gets_the_exposure_of_the_reference(frames, stops):
    reference, other, _ = frames
    composed = Composer(reference.copy(), None).compose(exposed(other, stops), None)
    assert psnr(exposed(other, stops), other) < 20
    assert psnr(composed, other) > 34


@pytest.mark.parametrize("stops", [0, -1])
@pytest.mark.parametrize("light", [banded, shaded])
def test_a_frame_gets_the_light_of_the_reference(frames, light, stops):
    reference, other = light(frames[0], 0), exposed(light(frames[1], 2), stops)
    composer = Composer(reference.copy(), None)
    expected = light(frames[1], 0)
    assert psnr(other, expected) < 22
    assert psnr(composer.compose(other, None), expected) > 31
    assert composer.lighting(other, None).shape == other.shape


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0])
def test_light_and_exposure_are_told_apart(frames, factor):
    reference, other = banded(frames[0], 0), banded(frames[1], 2) * np.float32(factor)
    composed = Composer(reference, None, 9.0).compose(other, None)
    assert np.sqrt(np.mean(block_means(composed - banded(frames[1], 0)) ** 2)) < 0.01


@pytest.mark.parametrize("change", [lambda frame: frame, lambda frame: exposed(frame, 1), lambda frame: frame**1.5])
def test_another_exposure_is_no_other_light(frames, change):
    assert Composer(frames[0].copy(), None).lighting(change(frames[1]), None) is None


def test_an_object_is_no_light():
    reference, frame = shaken_each(walking_box(scene(), 2, step=110, side=80, top=60), noise=0)
    assert Composer(reference, None).lighting(frame, None) is None


def test_where_a_frame_is_clipped_it_is_the_reference_as_far_as_that_is_as_bright(frames):
    reference, other, _ = frames
    composed = Composer(reference.copy(), None).compose(np.clip(1.4 * other, 0, 1), None)
    clipped, fine, bright = 1.4 * other > 1.02, 1.4 * other < 0.9, 1.4 * reference > 1.05
    assert min(clipped.mean(), fine.mean()) > 0.2
    np.testing.assert_allclose(composed[clipped & bright], reference[clipped & bright], atol=1e-6)
    np.testing.assert_allclose(composed[clipped & (1.4 * reference < 0.95)], 1 / 1.4, atol=0.01)
    assert np.abs(composed - other)[clipped].mean() < 0.95 * np.abs(reference - other)[clipped].mean()
    assert np.abs(composed - other)[fine].mean() < 0.01 < 0.5 * np.abs(reference - other)[fine].mean()


def test_what_is_clipped_at_black_is_no_brighter_than_that(frames):
    reference, other, _ = frames
    composed = Composer(reference.copy(), None).compose(np.clip(other - 0.15, 0, 1), None)
    clipped = other < 0.14
    assert clipped.mean() > 0.05
    for plane, shown, black in zip(composed, reference, clipped, strict=True):
        level = plane[black].max()
        assert 0.05 < level < 0.2
        np.testing.assert_allclose(plane[black], np.minimum(shown, level)[black], atol=1e-6)


def test_a_clipped_frame_that_was_resampled_is_still_known_to_be_clipped(frames):
    """Interpolation overshoots at the rims of what is clipped."""
    reference, other, _ = frames
    over = np.clip(3.5 * other, 0, 1)
    moved, trust = resample(over, np.array([[1, 0, 0.4], [0, 1, 0.3], [0, 0, 1]]))
    with pytest.raises(Unsuitable, match=r"too high|hardly any pixel"):
        Composer(reference.copy(), None).compose(moved, trust)


def test_what_the_reference_clips_too_is_not_taken_for_wrong(frames):
    """A darker frame knows what the reference does not; in the exposure of the reference it is clipped as well."""
    reference, other = (np.clip(2 * frame, 0, 1) for frame in frames[:2])
    composed = Composer(reference.copy(), None).compose(frames[1], None)
    assert composed.max() <= 1
    assert psnr(composed, other) > 36


def test_an_object_elsewhere_is_that_of_the_reference_and_the_rest_that_of_the_frame():
    reference, frame = shaken_each(walking_box(scene(), 2, step=110), noise=0)
    composed = Composer(reference.copy(), None).compose(frame, None)
    near = (slice(None), slice(90, 120), slice(118, 148))
    np.testing.assert_allclose(composed[near], reference[near], atol=0.02)
    assert np.abs(frame - reference)[near].mean() > 0.2
    far = (slice(None), slice(0, 50), slice(None))
    np.testing.assert_allclose(composed[far], frame[far], atol=1e-6)


def test_where_an_aligned_frame_agrees_with_the_reference(frames):
    reference, frame = shaken_each(walking_box(scene(), 2, step=110), noise=0)
    agreed = Composer(reference.copy(), None).agreed(0.6 * frame, None)
    assert agreed[95:115, 123:143].max() == agreed[95:115, 13:33].max() == 0
    assert agreed[:60].min() == 1
    assert Composer(frames[0].copy(), None).agreed(frames[1], None) is None


def test_a_frame_is_used_only_where_it_is_trusted(frames):
    reference, other, _ = frames
    trust = np.ones(SHAPE, np.float32)
    trust[:, :100] = 0
    spoiled = np.where(trust > 0, other, np.float32(7))
    composed = Composer(reference.copy(), None).compose(spoiled, trust)
    np.testing.assert_array_equal(composed[:, :, :100], reference[:, :, :100])
    np.testing.assert_allclose(composed[:, :, 100:], other[:, :, 100:], atol=1e-6)


def test_the_reference_is_completed_from_other_frames_and_then_smoothly(frames):
    reference, other, third = (frame.copy() for frame in frames)
    trusts = [np.ones(SHAPE, np.float32) for _ in range(3)]
    trusts[0][40:100, 40:140] = 0
    trusts[1][40:100, 90:140] = 0
    trusts[2][40:100, 120:140] = 0
    reference[:, 40:100, 40:140] = 0.5
    composer = Composer(reference, trusts[0])
    assert composer.incomplete
    composer.complete(other, trusts[1])
    composer.complete(third, trusts[2])
    assert composer.incomplete
    composer.finish()
    expected = frames[0].copy()
    expected[:, 40:100, 40:90] = other[:, 40:100, 40:90]
    expected[:, 40:100, 90:120] = third[:, 40:100, 90:120]
    found = composer.planes
    np.testing.assert_allclose(found[:, :, :120], expected[:, :, :120], atol=1e-6)
    np.testing.assert_array_equal(found[:, :, 140:], expected[:, :, 140:])
    assert found[:, 40:100, 120:140].std() < frames[0][:, 40:100, 120:140].std(), "a smooth fill where nobody knows"


def test_noise_of_a_dark_frame_does_not_come_along(rng):
    latent = scene()
    reference = shaken(latent, 2, noise=0.005)[0]
    dark = np.clip(shaken(latent, 2, noise=0)[1] / 5 + 0.005 * rng.standard_normal(latent.shape), 0, 1)
    composed = Composer(reference.copy(), None).compose(dark.astype(np.float32), None)
    clean = shaken(latent, 2, noise=0)[1]
    assert psnr(composed, clean) > 4 + psnr(5 * dark, clean)


def test_from_which_gain_noise_is_left_out_may_be_said(frames, rng):
    dark = (frames[1] / 1.2 + 0.01 * rng.standard_normal(frames[1].shape)).astype(np.float32)
    kept, cleaned = (Composer(frames[0].copy(), None, gain).compose(dark, None) for gain in (1.5, 1.05))
    np.testing.assert_allclose(kept, np.maximum(1.2 * dark, 0), atol=0.02)
    assert psnr(cleaned, frames[1]) > 3 + psnr(kept, frames[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: shaded(frame, 0, 1.0) / 12, "too low: it is darker than the reference by a factor of [0-9]+"),
        (lambda frame: frame / 20, "too low: it is darker than the reference by a factor of 20"),
        (lambda frame: np.clip(3.5 * frame, 0, 1), "too high: [0-9]+% of it is clipped|hardly any pixel"),
        (np.zeros_like, "hardly any pixel is well exposed both in it and in the reference"),
        (np.ones_like, "hardly any pixel is well exposed"),
    ],
)
def test_an_exposure_that_is_too_far_is_named(frames, change, message):
    with pytest.raises(Unsuitable, match=message):
        Composer(frames[0].copy(), None).compose(change(frames[1]), None)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 2), (1, 30, 40)])
def test_frames_without_detail_are_equal(shape, level):
    flat = np.full(shape, level, np.float32)
    np.testing.assert_array_equal(Composer(flat.copy(), None).compose(flat, None), flat)
