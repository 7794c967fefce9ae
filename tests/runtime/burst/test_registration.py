import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut, chelsea

from runtime.burst.composition import Composer
from runtime.burst.registration import Registration, largest_shift, resample, warp
from runtime.decisions.thresholds import FRAME_ALIGNED
from runtime.errors import InvalidArgument
from tests.support.bursts import banded, psnr, scene, shaded, shaken

MARGIN = 16
HEIGHT, WIDTH = 200, 260


def similarity(height, width, degrees, scale, down, right):
    """Rotation and scale about the middle, then a shift."""
    cos, sin = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    middle = np.array([[1, 0, width / 2], [0, 1, height / 2], [0, 0, 1]])
    return middle @ np.array([[cos, -sin, right], [sin, cos, down], [0, 0, 1]]) @ np.linalg.inv(middle)


def seen_through(latent, homography):
    """What a camera sees that has moved: the inner part, all of whose pixels are there."""
    moved = np.stack(
        [
            cv2.warpPerspective(plane, np.linalg.inv(homography), plane.shape[::-1], flags=cv2.INTER_CUBIC | 16)
            for plane in latent
        ]
    )
    return inner(moved)


def inner(latent):
    return np.ascontiguousarray(latent[:, MARGIN:-MARGIN, MARGIN:-MARGIN])


def as_seen(homography):
    """The same map between the pixels of inner parts."""
    offset = np.array([[1, 0, MARGIN], [0, 1, MARGIN], [0, 0, 1]])
    return np.linalg.inv(offset) @ homography @ offset


@settings(max_examples=8)
@given(st.floats(-2, 2), st.floats(0.98, 1.02), st.floats(-8, 8), st.floats(-8, 8), st.integers(0, 2**16))
def test_known_homographies_are_found(degrees, scale, down, right, seed):
    latent = scene(HEIGHT, WIDTH)
    homography = similarity(HEIGHT, WIDTH, degrees, scale, down, right)
    reference, other = shaken(latent, 2, seed, sigma=1.5)
    found = Registration(inner(reference)).homography(seen_through(other, homography))
    height, width = HEIGHT - 2 * MARGIN, WIDTH - 2 * MARGIN
    # Blurs of different directions move features by a part of a pixel.
    assert largest_shift(np.linalg.inv(as_seen(homography)) @ found, height, width) < 1


def test_the_aligned_frame_looks_like_the_reference():
    latent = scene(HEIGHT, WIDTH)
    reference, frame = inner(latent), seen_through(latent, similarity(HEIGHT, WIDTH, 1, 1.01, -5, 6))
    assert psnr(frame, reference) < 20
    aligned, trust = Registration(reference).align(frame)
    assert psnr(np.where(trust > 0, aligned, reference), reference) > 35


def test_large_frames_are_aligned_by_smaller_ones():
    latent = np.kron(scene(260, 340), np.ones((1, 5, 5), np.float32))
    height, width = latent.shape[1:]
    homography = similarity(height, width, 0.4, 1.003, 7, -9)
    found = Registration(inner(latent)).homography(seen_through(latent, homography))
    assert largest_shift(np.linalg.inv(as_seen(homography)) @ found, height, width) < 0.5


def test_brightness_and_contrast_do_not_matter():
    latent = scene(HEIGHT, WIDTH)
    homography = similarity(HEIGHT, WIDTH, 1, 1, 3, -4)
    darker = 0.1 + 0.5 * seen_through(latent, homography)
    found = Registration(inner(latent)).homography(darker)
    assert largest_shift(np.linalg.inv(as_seen(homography)) @ found, HEIGHT, WIDTH) < 0.5


def test_an_aligned_frame_is_not_resampled():
    reference, other = shaken(scene(), 2, sigma=1.5)
    registration = Registration(reference)
    trust = np.ones(reference.shape[1:], np.float32)
    for frame in (reference, other):
        assert registration.align(frame)[0] is frame
        assert registration.align(frame)[1] is None
        assert registration.align(frame, trust)[1] is trust
    assert FRAME_ALIGNED < 1


def test_a_frame_of_another_scene_is_none():
    registration = Registration(scene(HEIGHT, WIDTH))
    for other in (
        chelsea()[:HEIGHT, :WIDTH].transpose(2, 0, 1) / 255,
        astronaut()[300 : 300 + HEIGHT, 240 : 240 + WIDTH].transpose(2, 0, 1) / 255,
        np.random.default_rng(0).random((3, HEIGHT, WIDTH)),
        np.full((3, HEIGHT, WIDTH), 0.5),
    ):
        assert registration.align(np.ascontiguousarray(other, np.float32)) is None


def test_a_mirrored_or_far_smaller_frame_is_none():
    latent = scene(HEIGHT, WIDTH)
    registration = Registration(latent)
    assert registration.align(np.ascontiguousarray(latent[:, :, ::-1])) is None
    third = cv2.resize(latent.transpose(1, 2, 0), None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
    frame = np.full_like(latent, 0.5)
    frame[:, : third.shape[0], : third.shape[1]] = third.transpose(2, 0, 1)
    assert registration.align(frame) is None


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (3, 9, 1), (1, 8, 8), (3, 40, 30)])
def test_frames_of_few_pixels_or_no_detail(shape):
    flat = np.full(shape, 0.5, np.float32)
    registration = Registration(flat)
    assert registration.align(flat.copy()) is not None, "equal frames are aligned"
    noise = np.random.default_rng(0).random(shape, np.float32)
    assert registration.align(noise) is None
    assert Registration(noise).align(flat) is None


def test_grey_frames_are_aligned_too():
    latent = scene(HEIGHT, WIDTH)[1:2]
    frame = seen_through(latent, similarity(HEIGHT, WIDTH, 0, 1, 4, 4))
    aligned, trust = Registration(inner(latent)).align(frame)
    assert psnr(np.where(trust > 0, aligned, inner(latent)), inner(latent)) > 30


def test_what_a_frame_does_not_show_is_filled():
    frame, outside = np.ones((3, 40, 50), np.float32), np.zeros((3, 40, 50), np.float32)
    shift = np.array([[1, 0, 20], [0, 1, 0], [0, 0, 1]])
    result = warp(frame, shift, outside=outside)
    np.testing.assert_allclose(result[:, :, :20], 1, atol=1e-5)
    np.testing.assert_array_equal(result[:, :, 30:], 0)
    assert (np.diff(result[0, 20]) <= 1e-5).all(), "a soft seam"


def test_trust_travels_with_the_frame_and_ends_at_its_border():
    frame, trust = np.ones((1, 40, 50), np.float32), np.ones((40, 50), np.float32)
    trust[20:, :] = 0
    shift = np.array([[1, 0, 20], [0, 1, 5], [0, 0, 1]])
    _, moved = resample(frame, shift, trust)
    assert (moved[15:] == 0).all()
    assert (moved[:, 30:] == 0).all()
    np.testing.assert_allclose(moved[:15, :20], 1, atol=1e-5)


@pytest.mark.parametrize("in_reference", [False, True])
def test_unknown_pixels_do_not_mislead(in_reference):
    """A mark that stays where it is while the scene moves, which would hold the frames where they are."""
    latent = scene(HEIGHT, WIDTH)
    homography = similarity(HEIGHT, WIDTH, 0, 1, 4, -5)
    reference, frame = inner(latent), seen_through(latent, homography)
    trust = np.ones(reference.shape[1:], np.float32)
    trust[40:110, 60:160] = 0
    marked = [np.where(trust > 0, planes, np.float32(0.5)) for planes in (reference, frame)]
    pair = (marked[0], frame) if in_reference else (reference, marked[1])
    trusts = (trust, None) if in_reference else (None, trust)
    found = Registration(pair[0], trusts[0]).homography(pair[1], trusts[1])
    height, width = reference.shape[1:]
    assert largest_shift(np.linalg.inv(as_seen(homography)) @ found, height, width) < 0.6


@pytest.mark.parametrize("gain", [1.3, 1.6, 2])
@pytest.mark.parametrize("swapped", [False, True])
def test_what_is_clipped_in_one_frame_only_does_not_draw_it_away(swapped, gain):
    frame, other = (shaken(scene(HEIGHT, WIDTH), 1, seed=seed)[0] for seed in (0, 1))
    bright = np.clip(gain * other, 0, 1)
    assert (bright > 0.98).any(axis=0).mean() > 0.5
    pair = (bright, frame) if swapped else (frame, bright)
    assert largest_shift(Registration(pair[0]).homography(pair[1]), HEIGHT, WIDTH) < 0.4


def figure_at(left):
    """The scene with a textured figure in front of it."""
    latent = scene(HEIGHT, WIDTH)
    latent[:, 70:170, left : left + 60] = chelsea()[100:200, 120:180].transpose(2, 0, 1) / np.float32(255)
    return latent


def test_something_that_moves_does_not_draw_a_frame_along():
    reference, frame = (shaken(figure_at(left), 1, seed=left)[0] for left in (60, 85))
    differs = np.ones((HEIGHT, WIDTH), np.float32)
    differs[64:176, 54:151] = 0
    asked = []

    def agreed(planes, trust):
        asked.append(planes)
        return differs

    registration = Registration(reference)
    drawn, detail, refined = (
        largest_shift(registration.homography(frame, **options), HEIGHT, WIDTH)
        for options in ({}, {"shading": False}, {"compared": differs})
    )
    assert refined < 0.4 < drawn
    assert detail < drawn
    aligned, _ = registration.align(frame, None, agreed)
    assert len(asked) > 1
    np.testing.assert_allclose(aligned[:, 10:60, 10:-10], frame[:, 10:60, 10:-10], atol=0.02)


@pytest.mark.parametrize("light", [banded, shaded])
def test_light_that_differs_does_not_draw_a_frame_along(light):
    moved = similarity(HEIGHT, WIDTH, 1, 1, 3, -2)
    still, other = shaken(scene(HEIGHT, WIDTH), 2)
    reference, frame = light(inner(still), 0), light(seen_through(other, moved), 2)
    registration, truth = Registration(reference), as_seen(moved)
    composer = Composer(reference.copy(), None)
    aligned, trust = registration.align(frame, None, composer.agreed, composer.lighting)
    expected, _ = resample(frame, truth)
    well = trust == 1
    drawn = registration.homography(frame)
    assert drawn is None or largest_shift(np.linalg.inv(truth) @ drawn, HEIGHT, WIDTH) > 1.5
    assert psnr(aligned[:, well], expected[:, well]) > 34


def test_frames_that_agree_are_aligned_once():
    reference, frame = shaken(scene(), 2)
    expected = Registration(reference).align(frame)
    found = Registration(reference).align(frame, None, lambda planes, trust: None)
    np.testing.assert_array_equal(found[0], expected[0])


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_largest_shift(right, down):
    shift = np.array([[1, 0, right], [0, 1, down], [0, 0, 1]])
    assert largest_shift(shift, 30, 40) == pytest.approx(np.hypot(right, down))
    assert largest_shift(np.diag([1.1, 1, 1]), 31, 41) == pytest.approx(4)


def test_a_frame_of_another_shape_is_an_error():
    with pytest.raises(InvalidArgument, match=r"give \(3, 180, 240\), as the reference has"):
        Registration(scene()).align(scene(170, 240))


@pytest.mark.parametrize("exponent", [-80, 66])
def test_a_frame_is_aligned_whatever_its_range_of_values(exponent):
    latent = scene(HEIGHT, WIDTH)
    reference, frame = inner(latent), seen_through(latent, similarity(HEIGHT, WIDTH, 0, 1, 4, -5))
    expected = Registration(reference).homography(frame)
    found = Registration(reference).homography(np.ldexp(frame, exponent))
    np.testing.assert_array_equal(found, expected)
