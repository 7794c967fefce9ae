import numpy as np
import pytest

from runtime.burst.grid import block_means, enlarge
from runtime.burst.shading import gains, levelled
from tests.support.bursts import banded, psnr, scene, shaded, shaken, walking_box

LIGHTS = {
    "bands": lambda frame, number: banded(frame, 2 * number),
    "bands along columns": lambda frame, number: banded(frame.transpose(0, 2, 1), 2 * number).transpose(0, 2, 1),
    "shading": shaded,
    "both": lambda frame, number: shaded(banded(frame, 2 * number), number),
}


def found(frame, reference, usable=None):
    blocks = block_means(frame), block_means(reference)
    usable = np.ones(blocks[0].shape[1:], bool) if usable is None else usable
    return np.stack([enlarge(gain, frame) for gain in gains(*blocks, usable)])


@pytest.fixture(scope="module")
def frames():
    return shaken(scene(), 2)


@pytest.mark.parametrize("light", LIGHTS.values(), ids=LIGHTS)
def test_a_frame_is_lit_like_the_reference_whatever_the_blur(frames, light):
    reference, other = light(frames[0], 0), light(frames[1], 1)
    expected = light(frames[1], 0)
    assert psnr(other, expected) < 22
    assert psnr(other * found(other, reference), expected) > 32


def test_equal_light_has_no_gain(frames):
    assert np.abs(found(*frames[::-1]) - 1).mean() < 0.005


def test_a_box_that_walks_is_not_taken_for_light():
    reference, other = walking_box(scene(), 2, step=110)
    bands = banded(other, 1)
    gain = found(bands, banded(reference, 0))
    inner = (slice(None), slice(90, 120), slice(None))
    assert psnr((bands * gain)[inner], banded(other, 0)[inner]) > 28


def test_each_colour_has_its_light(frames):
    tinted = np.concatenate([banded(frames[1], 1)[:1], frames[1][1:]])
    gain = found(tinted, frames[0])
    assert np.abs(gain[0] - 1).mean() > 0.1
    assert np.abs(gain[1:] - 1).mean() < 0.01


def test_what_is_not_usable_says_nothing(frames):
    spoiled, usable = banded(frames[1], 1), np.ones((45, 60), bool)
    spoiled[:, :, :80], usable[:, :20] = 9, False
    assert psnr((spoiled * found(spoiled, frames[0], usable))[:, :, 84:], frames[1][:, :, 84:]) > 30


@pytest.mark.parametrize("value", [0, 1e-38, -1, 1e30])
def test_frames_of_nothing_have_finite_gains(value):
    plain = np.full((1, 12, 16), value, np.float32)
    assert np.isfinite(gains(plain, plain, np.ones((12, 16), bool))).all()
    assert np.isfinite(levelled(plain, None)).all()


def test_frames_lit_differently_are_alike_when_levelled(frames):
    lit = [frames[0], shaded(banded(frames[0], 1), 2)]
    one, other = (levelled(frame, None)[0] for frame in lit)
    before, after = (
        np.corrcoef(*(each.ravel() for each in pair))[0, 1] for pair in ([f[0] for f in lit], (one, other))
    )
    assert 1 - after < 0.1 * (1 - before)
    assert one.mean(1).std() < 0.25 * frames[0].mean((0, 2)).std()
    np.testing.assert_array_equal(levelled(frames[0], np.ones((180, 240), np.float32))[0], one)
    assert np.isfinite(levelled(frames[0], np.zeros((180, 240), np.float32))).all()
