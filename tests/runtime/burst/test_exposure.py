import numpy as np
import pytest

from runtime.burst.exposure import clipped_like, match_tones, proportional, unclipped
from runtime.burst.grid import block_means, smooth
from tests.support.bursts import exposed, scene, shaken


def fitted(frame, reference):
    shown = [block_means(np.float32(planes.max(0) < 0.92)) == 1 for planes in (frame, reference)]
    return match_tones(smooth(block_means(frame)), smooth(block_means(reference)), shown[0] & shown[1])


@pytest.fixture(scope="module")
def frames():
    return shaken(scene(), 2)


@pytest.mark.parametrize(
    ("change", "margin"),
    [
        (lambda frame: 0.3 * frame, 0.004),
        (lambda frame: 0.8 * frame + 0.1, 0.004),
        (lambda frame: exposed(frame, -2), 0.012),
        (lambda frame: exposed(frame, -1), 0.008),
        (lambda frame: frame**1.3, 0.018),
    ],
)
def test_another_exposure_is_undone_whatever_the_blur(frames, change, margin):
    reference, other = frames
    curve = fitted(change(other), reference)
    assert not curve.is_identity(1.0)
    assert np.sqrt(np.mean((curve(change(other)) - other) ** 2)) < margin
    assert (np.diff(curve.targets) >= 0).all()


def test_light_is_in_proportion_where_it_can_be(frames):
    reference, other = (block_means(frame) for frame in frames)
    usable = np.ones(reference.shape[1:], bool)
    usable[:20] = False
    other[:, :20] = 9
    factors = np.array([0.5, 0.8, 2.0], np.float32)[:, None, None]
    curve = proportional(factors * other, reference, usable)
    np.testing.assert_allclose(curve.slopes * factors.ravel(), 1, atol=0.02)
    np.testing.assert_allclose(curve(factors * frames[1]), frames[1], rtol=0.02, atol=1e-6)
    assert proportional(0 * other, reference, usable) is None
    assert proportional(other, 0 * reference, usable) is None


def test_each_colour_has_its_curve(frames):
    reference, other = frames
    gains = np.array([0.5, 0.8, 1.0], np.float32)[:, None, None]
    curve = fitted(gains * other, reference)
    np.testing.assert_allclose(curve.slopes, [2, 1.25, 1], rtol=0.02)
    assert curve.gain == pytest.approx(2, rel=0.02)


def test_equal_exposures_are_told_from_others(frames):
    reference, other = frames
    assert fitted(other, reference).is_identity(1.0)
    assert not fitted(0.95 * other, reference).is_identity(1.0)


def test_a_moved_object_does_not_bend_the_curve(frames):
    reference, other = frames
    moved = 0.5 * other
    moved[:, 100:150, 20:90] = np.array([0.05, 0.4, 0.2], np.float32)[:, None, None]
    assert np.sqrt(np.mean((fitted(moved, reference)(0.5 * other) - other) ** 2)) < 0.006


def test_small_values_are_matched_like_large_ones(frames):
    reference, other = (frame / 16 for frame in frames)
    curve = match_tones(smooth(block_means(other / 2)), smooth(block_means(reference)), np.ones((45, 60), bool))
    assert curve.gain == pytest.approx(2, rel=0.02)
    assert not curve.is_identity(1 / 16)


def test_a_frame_that_does_not_rise_with_the_reference_has_no_curve(frames):
    reference = frames[0]
    for other in (1 - reference, np.full_like(reference, 0.5)):
        assert match_tones(smooth(block_means(other)), smooth(block_means(reference)), np.ones((45, 60), bool)) is None


def test_clipped_values_weigh_nothing():
    values = np.array([0, 0.5, 0.93, 0.96, 0.98, 1], np.float32)
    np.testing.assert_allclose(unclipped(values, 1.0), [1, 1, 1, 0.5, 0, 0], atol=1e-5)
    np.testing.assert_allclose(unclipped(values / 16, 1 / 16), [1, 1, 1, 0.5, 0, 0], atol=1e-5)
    np.testing.assert_array_equal(unclipped(np.zeros(3, np.float32), 0.0), 0)


def test_a_frame_is_clipped_as_much_as_another_one_wherever_that_shows_it(frames):
    reference, other = frames
    bright = np.roll(np.clip(1.6 * exposed(other, 0.3), 0, 1), 40, axis=2)
    found = clipped_like(reference, bright, None, None)
    for plane, clipped, given in zip(found, bright, reference, strict=True):
        share = (clipped >= 0.98).mean()
        assert (plane >= plane.max()).mean() == pytest.approx(share, abs=0.01)
        np.testing.assert_array_equal(plane, np.minimum(given, plane.max()))
    assert clipped_like(bright, reference, None, None) is bright
    assert clipped_like(reference, other, None, None) is reference


def test_unknown_pixels_are_not_counted_as_clipped(frames):
    reference, other = frames
    known = np.ones(other.shape[1:], bool)
    known[:80] = False
    spoiled = np.where(known, other, np.float32(1))
    assert clipped_like(reference, spoiled, None, known) is reference
    assert clipped_like(reference, spoiled, None, None) is not reference
    assert clipped_like(reference, spoiled, None, np.zeros_like(known)) is reference
