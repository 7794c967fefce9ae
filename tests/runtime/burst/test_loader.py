import warnings

import numpy as np
import pytest
from skimage.data import astronaut

from runtime.burst.loader import _CONCURRENT_FRAMES, BurstLoader
from runtime.errors import FrameLeftOut, InvalidArgument, InvalidImage
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from runtime.methods.fba import fuse
from runtime.options import BurstOptions
from runtime.run import Run
from tests.support.bursts import banded, exposed, pixels_of, psnr, shaken, shaken_each, walking_box
from tests.support.bursts import scene as scene_planes


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


def restored(frames, **options):
    """The whole way of a burst without a network: the planes of the result, the loader, and what was left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FrameLeftOut)
        loader = load(frames, **options)
        image = loader.close(fuse(loader.planes(), Run(BurstOptions())).latent)
    return image, loader, [str(warning.message) for warning in caught]


def planes_of(pixels):
    return np.asarray(pixels).transpose(2, 0, 1) / np.float32(255)


LATENT = scene_planes()
STOPS = (0, -1, 1.5, 0.7, -1.7, 0, 1, -0.5)


@pytest.fixture(scope="module")
def unequal():
    """Eight frames under eight exposures, of which the brightest is the least blurred."""
    frames = shaken(LATENT, 8)
    frames[2] = shaken(LATENT, 8, sigma=1.8)[2]
    return [pixels_of(exposed(frame, stops)) for frame, stops in zip(frames, STOPS, strict=True)]


@pytest.mark.parametrize("register", [False, True])
def test_unequal_exposures_are_worth_nearly_as_much_as_equal_ones(unequal, register):
    image, _, left_out = restored(unequal, register=register, reference=0)
    best = psnr(planes_of(unequal[0]), LATENT, 16)
    equal = restored([pixels_of(frame) for frame in shaken(LATENT, 8)], register=register, reference=0)[0]
    assert left_out == []
    gain, gain_of_equal = (psnr(planes_of(each), LATENT, 16) - best for each in (image, equal))
    assert gain > 5
    assert gain > 0.55 * gain_of_equal


@pytest.mark.parametrize("register", [False, True])
def test_a_burst_under_a_lamp_that_flickers_is_worth_nearly_as_much_as_an_equal_one(register):
    frames = shaken(LATENT, 6)
    flickering = [pixels_of(banded(frame, 1.1 * number)) for number, frame in enumerate(frames)]
    image, loader, left_out = restored(flickering, register=register, reference=0)
    equal = restored([pixels_of(frame) for frame in frames], register=register, reference=0)[0]
    truth = banded(LATENT, 0)
    gain = psnr(planes_of(image), truth, 16) - psnr(planes_of(flickering[0]), truth, 16)
    gain_of_equal = psnr(planes_of(equal), LATENT, 16) - psnr(frames[0], LATENT, 16)
    assert left_out == []
    assert loader.used == list(range(6))
    assert gain > 0.5 * gain_of_equal > 2


def test_the_reference_is_neither_the_brightest_nor_a_clipped_frame(unequal):
    image, loader, _ = restored(unequal, register=True)
    number = loader.reference.number
    assert STOPS[number] <= 0
    assert psnr(planes_of(image), exposed(LATENT, STOPS[number]), 16) > 5 + psnr(
        planes_of(unequal[number]), exposed(LATENT, STOPS[number]), 16
    )


def test_gains_and_offsets_of_stored_values():
    gains = ((1, 0), (0.5, 0), (0.7, 0.1), (1.5, 0), (0.6, 0.2), (1, 0))
    frames = [
        pixels_of(np.clip(gain * frame + offset, 0, 1))
        for frame, (gain, offset) in zip(shaken(LATENT, 6), gains, strict=True)
    ]
    image, _, _ = restored(frames, register=True, reference=0)
    assert psnr(planes_of(image), LATENT, 16) > 6 + psnr(planes_of(frames[0]), LATENT, 16)


@pytest.mark.parametrize("register", [False, True])
def test_frames_of_another_exposure_than_can_be_used_are_left_out_and_named(register):
    frames = [pixels_of(frame) for frame in shaken(LATENT, 4)]
    frames[1] = (frames[1] // 40).astype(np.uint8)
    frames[3] = np.full_like(frames[3], 255)
    frames.append(np.zeros_like(frames[0]))
    image, loader, left_out = restored(frames, register=register, reference=0)
    assert loader.used == [0, 2]
    assert [message.split(" is left out: ")[0] for message in left_out] == ["frame 1", "frame 3", "frame 4"]
    assert psnr(planes_of(image), LATENT, 16) > 0.5 + psnr(planes_of(frames[0]), LATENT, 16)


@pytest.mark.parametrize("register", [False, True])
@pytest.mark.parametrize("stops", [np.zeros(8), STOPS])
def test_a_box_that_walks_leaves_no_ghosts(register, stops):
    scenes = walking_box(LATENT, 8)
    frames = [pixels_of(exposed(frame, each)) for frame, each in zip(shaken_each(scenes), stops, strict=True)]
    image, _, _ = restored(frames, register=register, reference=0)
    # Where the box of another frame was, away from that of the reference.
    error = (planes_of(image) - scenes[0])[:, 92:118, 60:230]
    assert np.abs(error.reshape(3, 26, 17, 10).mean((1, 3))).max() < 0.03
    assert psnr(planes_of(image), scenes[0], 16) > 2.5 + psnr(planes_of(frames[0]), scenes[0], 16)


def masked(frames, masks, under):
    return [
        np.ma.MaskedArray(np.where(mask[..., None], under, frame).astype(frame.dtype), np.repeat(mask[..., None], 3, 2))
        for frame, mask in zip(frames, masks, strict=True)
    ]


def masks_of(kind, count, shape):
    rng = np.random.default_rng(3)
    masks = np.zeros((count, *shape), bool)
    if kind == "dead pixels":
        masks[:] = rng.random(masks.shape) < 0.02
    elif kind == "the same dead pixels":
        masks[:] = rng.random(shape) < 0.02
    elif kind == "a part of each":
        for number, mask in enumerate(masks):
            mask[20 + 20 * number : 50 + 20 * number, 30 + 25 * number : 70 + 25 * number] = True
    elif kind == "a part of the reference":
        masks[0, 60:110, 70:150] = True
    else:
        masks[:, 60:90, 70:130] = True
    return masks


@pytest.mark.parametrize("register", [False, True])
@pytest.mark.parametrize(
    "kind", ["dead pixels", "the same dead pixels", "a part of each", "a part of the reference", "a part of all"]
)
def test_masked_pixels_are_unknown_and_the_mask_comes_back(kind, register):
    frames = [pixels_of(frame) for frame in shaken(LATENT, 4)]
    masks = masks_of(kind, 4, LATENT.shape[1:])
    image, _, left_out = restored(masked(frames, masks, 0), register=register, reference=0)
    other, _, _ = restored(masked(frames, masks, 255), register=register, reference=0)
    np.testing.assert_array_equal(image.mask[..., 0], masks[0])
    known = ~masks[0]
    np.testing.assert_array_equal(image.data[known], other.data[known])
    assert left_out == []
    clean, _, _ = restored(frames, register=register, reference=0)

    def error(pixels):
        return np.mean((planes_of(np.ma.getdata(pixels)) - LATENT)[:, known] ** 2)

    assert error(image) < error(clean) * 10**0.2


def test_floats_with_nan_under_the_mask():
    frames = [np.ascontiguousarray(frame.transpose(1, 2, 0)) for frame in shaken(LATENT, 3)]
    masks = masks_of("a part of each", 3, LATENT.shape[1:])
    image, _, _ = restored(masked(frames, masks, np.float32(np.nan)), register=True)
    assert np.isfinite(image.compressed()).all()


def test_a_wholly_masked_frame_is_left_out_and_named():
    frames = [pixels_of(frame) for frame in shaken(LATENT, 3)]
    masks = np.zeros((3, *LATENT.shape[1:]), bool)
    masks[1] = True
    _, loader, left_out = restored(masked(frames, masks, 9), register=True)
    assert loader.used == [0, 2]
    assert left_out == ["frame 1 is left out: none of its pixels is known: all are masked, or invisible"]


def test_what_is_invisible_in_the_frames_makes_no_difference():
    frames = [pixels_of(frame) for frame in shaken(LATENT, 4)]
    alpha = np.full(LATENT.shape[1:], 255, np.uint8)
    alpha[50:100, 60:140] = 0

    def with_under(value):
        return [np.dstack([np.where(alpha[..., None] > 0, frame, np.uint8(value)), alpha]) for frame in frames]

    one, other = (restored(with_under(value), register=True, reference=0)[0] for value in (0, 255))
    np.testing.assert_array_equal(one[alpha > 0], other[alpha > 0])
    assert (one[alpha == 0][:, :3] == 0).all()


@pytest.mark.parametrize("register", [False, True])
def test_one_frame_and_copies_of_one_come_back(register):
    frame = pixels_of(shaken(LATENT, 1)[0])
    for frames in ([frame], [frame] * 4, [np.zeros_like(frame)] * 3, [np.full_like(frame, 255)] * 3):
        image, loader, left_out = restored(frames, register=register)
        np.testing.assert_array_equal(image, frames[0])
        assert (loader.used, left_out) == (list(range(len(frames))), [])


def test_a_copy_of_a_frame_in_another_exposure_adds_nothing_wrong():
    frame = shaken(LATENT, 1, noise=0)[0]
    image, _, _ = restored([pixels_of(frame), pixels_of(0.6 * frame)], register=True, reference=0)
    assert psnr(planes_of(image), frame) > 42


@pytest.mark.parametrize("register", [False, True])
def test_a_requested_reference_of_an_iterator(register):
    frames = [pixels_of(frame) for frame in shaken(LATENT, 3)]
    image, loader, _ = restored(iter(frames), register=register, reference=2)
    assert loader.reference.number == 2
    np.testing.assert_array_equal(image, restored(frames, register=register, reference=2)[0])


@pytest.mark.parametrize("exponent", [-80, 66, 100])
@pytest.mark.parametrize("register", [False, True])
def test_values_of_any_range_are_restored_alike(register, exponent):
    frames = [np.ascontiguousarray(frame.transpose(1, 2, 0)) for frame in shaken(LATENT, 4)]
    expected, loader, _ = restored(frames, register=register)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, other, left_out = restored([np.ldexp(frame, exponent) for frame in frames], register=register)
    assert (other.used, other.reference.number, left_out) == (loader.used, loader.reference.number, [])
    highest = 1 if exponent < 0 else frames[other.reference.number].max()  # floats beyond 1 end at their largest
    np.testing.assert_array_equal(found, np.ldexp(np.minimum(expected, highest), exponent))


@pytest.mark.parametrize("register", [False, True])
@pytest.mark.parametrize(("colour", "side"), [(0, np.s_[:20]), (255, np.s_[:, -31:]), (90, np.s_[-12:])])
def test_borders_come_back_and_take_no_part(register, colour, side):
    frames = [pixels_of(frame) for frame in shaken(LATENT, 4)]
    inside = np.ones(LATENT.shape[1:], bool)
    inside[side] = False
    rows, columns = (
        slice(lines.argmax(), lines.size - lines[::-1].argmax()) for lines in (inside.any(1), inside.any(0))
    )
    expected = restored([np.ascontiguousarray(frame[rows, columns]) for frame in frames], register=register)[0]
    for frame in frames:
        frame[side] = colour
    image = restored(frames, register=register)[0]
    assert (image[side] == colour).all()
    np.testing.assert_array_equal(image[rows, columns], expected)


def test_a_walking_figure_does_not_draw_the_frames_along():
    """A textured figure, at another place in each frame: what is above it stays where it is."""
    figure = LATENT[:, 60:140, 155:195].copy()
    scenes = [LATENT.copy() for _ in range(5)]
    for number, latent in enumerate(scenes):
        latent[:, 85:165, 16 + 40 * number : 56 + 40 * number] = figure
    frames = shaken_each(scenes)
    loader = load([pixels_of(frame) for frame in frames], register=True, reference=2)
    for composed, given in zip(loader.planes(), frames, strict=True):
        assert psnr(composed[:, 10:60, 10:-10], given[:, 10:60, 10:-10]) > 40
    assert loader.used == [0, 1, 2, 3, 4]
