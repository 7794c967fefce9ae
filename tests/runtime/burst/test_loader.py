import numpy as np
import pytest
from skimage.data import astronaut

from runtime.burst.loader import _CONCURRENT_FRAMES, BurstLoader
from runtime.errors import FrameLeftOut, InvalidArgument, InvalidImage
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from tests.support.bursts import pixels_of, shaken


@pytest.fixture(scope="module")
def scene():
    return astronaut()[:220, 60:320]


def load(frames, register=False, reference=None, progress=None):
    return BurstLoader(frames, CPU, register, reference, Stopwatch(), progress)


def test_frames_come_in_order_as_planes(scene):
    frames = [pixels_of(frame) for frame in shaken(scene.transpose(2, 0, 1) / 255, 3)]
    loader = load(frames, reference=1)
    planes = list(loader.planes())
    assert loader.used == [0, 1, 2]
    for given, frame in zip(planes, frames, strict=True):
        np.testing.assert_allclose(given, frame.transpose(2, 0, 1) / 255, atol=1e-6)
    np.testing.assert_array_equal(loader.close(planes[1]), frames[1])


def test_a_moved_frame_lies_on_the_reference(scene):
    moved = np.roll(scene, (3, -4), (0, 1))
    loader = load([scene, moved], register=True, reference=0)
    _, aligned = loader.planes()

    def distance(planes):
        return np.abs(planes - scene.transpose(2, 0, 1) / 255)[:, 20:-20, 20:-20].mean()

    assert distance(aligned) < 0.25 * distance(moved.transpose(2, 0, 1) / 255)


def test_a_frame_of_nothing_known_is_left_out(scene):
    noise = np.random.default_rng(1).integers(0, 255, scene.shape, np.uint8)
    loader = load([scene, noise, scene], register=True, reference=0)
    with pytest.warns(FrameLeftOut, match="1"):
        assert len(list(loader.planes())) == 2
    assert loader.used == [0, 2]


def test_no_more_frames_are_read_than_are_being_aligned(scene):
    read = []

    class Frames(list):
        def __getitem__(self, number):
            read.append(number)
            return super().__getitem__(number)

    given = load(Frames([scene] * (_CONCURRENT_FRAMES + 4)), register=False).planes()
    next(given)
    assert len(read) <= _CONCURRENT_FRAMES


def test_progress_ends_at_one(scene):
    told = []
    list(load([scene, scene], progress=lambda stage, fraction: told.append((stage, fraction))).planes())
    assert told[-1] == ("frames", 1.0)


@pytest.mark.parametrize("reference", [-1, 2, 0.5, "first"])
def test_a_reference_that_is_not_there_is_refused(scene, reference):
    with pytest.raises(InvalidArgument, match="reference"):
        load([scene, scene], reference=reference)


def test_an_iterator_that_ends_before_the_reference_is_refused(scene):
    with pytest.raises(InvalidArgument, match="frames 0 to 1 only"):
        list(load(iter([scene, scene]), reference=5).planes())


def test_a_frame_of_another_size_is_named(scene):
    with pytest.raises(InvalidImage, match="1"):
        list(load([scene, scene[:-2]]).planes())
