import numpy as np
import pytest
from skimage.data import astronaut

from runtime.burst.intake import LOOK_AHEAD, Intake
from runtime.errors import FrameLeftOut, InvalidArgument, InvalidImage
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch


@pytest.fixture(scope="module")
def scene():
    return astronaut()[:220, 60:320]


def take(frames, register=False, reference=None, progress=None):
    return Intake(frames, CPU, register, reference, Stopwatch(), progress)


def test_frames_come_in_order_as_planes(scene):
    frames = [scene, scene[::-1].copy(), scene[:, ::-1].copy()]
    intake = take(frames, reference=1)
    planes = list(intake.planes())
    assert intake.used == [0, 1, 2]
    for given, frame in zip(planes, frames, strict=True):
        np.testing.assert_allclose(given, frame.transpose(2, 0, 1) / 255, atol=1e-6)
    np.testing.assert_array_equal(intake.close(planes[1]), frames[1])


def test_a_moved_frame_lies_on_the_reference(scene):
    moved = np.roll(scene, (3, -4), (0, 1))
    intake = take([scene, moved], register=True, reference=0)
    _, aligned = intake.planes()

    def distance(planes):
        return np.abs(planes - scene.transpose(2, 0, 1) / 255)[:, 20:-20, 20:-20].mean()

    assert distance(aligned) < 0.25 * distance(moved.transpose(2, 0, 1) / 255)


def test_a_frame_of_nothing_known_is_left_out(scene):
    noise = np.random.default_rng(1).integers(0, 255, scene.shape, np.uint8)
    intake = take([scene, noise, scene], register=True, reference=0)
    with pytest.warns(FrameLeftOut, match="1"):
        assert len(list(intake.planes())) == 2
    assert intake.used == [0, 2]


def test_no_more_frames_are_read_than_are_being_aligned(scene):
    read = []

    class Frames(list):
        def __getitem__(self, number):
            read.append(number)
            return super().__getitem__(number)

    given = take(Frames([scene] * (LOOK_AHEAD + 4)), register=False).planes()
    next(given)
    assert len(read) <= LOOK_AHEAD


def test_progress_ends_at_one(scene):
    told = []
    list(take([scene, scene], progress=lambda stage, fraction: told.append((stage, fraction))).planes())
    assert told[-1] == ("frames", 1.0)


@pytest.mark.parametrize("reference", [-1, 2, 0.5, "first"])
def test_a_reference_that_is_not_there_is_refused(scene, reference):
    with pytest.raises(InvalidArgument, match="reference"):
        take([scene, scene], reference=reference)


def test_an_iterator_that_ends_before_the_reference_is_refused(scene):
    with pytest.raises(InvalidArgument, match="frames 0 to 1 only"):
        list(take(iter([scene, scene]), reference=5).planes())


def test_a_frame_of_another_size_is_named(scene):
    with pytest.raises(InvalidImage, match="1"):
        list(take([scene, scene[:-2]]).planes())
