import numpy as np
import pytest
from click import UsageError

from bench.data.bursts import BURST_SETS, FIXED_FRAME, FRAMES, fba_psf, fba_psf_moved, shake_kernels, synthetic
from tests.bench.conftest import write_picture


@pytest.mark.parametrize("extent", [1, 7, 17])
def test_kernels_just_fit_their_square_and_stay_centred(extent):
    kernels = shake_kernels(20, extent, np.random.default_rng(0))
    assert kernels.shape == (20, 2 * extent + 1, 2 * extent + 1)
    assert kernels.dtype == np.float32
    assert kernels.min() >= 0
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, rtol=1e-5)
    place = np.arange(2 * extent + 1) - extent
    np.testing.assert_allclose(kernels.sum(2) @ place, 0, atol=1e-4)
    np.testing.assert_allclose(kernels.sum(1) @ place, 0, atol=1e-4)
    spans = [max(np.ptp(np.flatnonzero(kernel.sum(axis) > 1e-7)) + 1 for axis in (0, 1)) for kernel in kernels]
    # Drawn bilinearly, a path touches at most one pixel more than it spans.
    assert set(spans) <= {extent, extent + 1}


def test_kernels_differ_but_not_from_run_to_run():
    first, second = (shake_kernels(3, 9, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first[0] - first[1]).sum() > 0.2


def test_synthetic_bursts_hold_no_sharp_frame(data_set):
    (case,) = synthetic(data_set, 7)
    burst = case.load()
    assert case.name == "1234"
    assert len(burst.frames) == FRAMES
    assert not burst.fit_values
    assert {frame.shape for frame in burst.frames} == {burst.sharp.shape} == {(136, 146)}
    assert all(np.abs(frame - burst.sharp).mean() > 0.012 for frame in burst.frames)
    # Centred blurs: the mean of the frames lies where the truth does.
    mean, inner = np.mean(burst.frames, axis=0), (slice(10, -10), slice(10, -10))
    errors = {step: np.square(np.roll(mean, step, 1) - burst.sharp)[inner].mean() for step in (-1, 0, 1)}
    assert min(errors, key=errors.get) == 0


def test_the_registered_burst_is_read_with_its_truth(tmp_path, colour_scene):
    folder = tmp_path / "eval" / "fba_psf"
    for number in (2, 1):
        write_picture(folder / f"REG_{number:03}.jpg", number * colour_scene / 3)
    write_picture(folder / "sharp_000.jpg", colour_scene)
    (case,) = fba_psf(tmp_path)
    burst = case.load()
    assert burst.fit_values
    assert [round(float(np.mean(frame) / np.mean(burst.sharp)), 1) for frame in burst.frames] == [0.3, 0.7]
    assert burst.sharp.shape == colour_scene.shape


def test_a_burst_is_moved_but_for_the_frame_that_all_are_aligned_with(tmp_path, colour_scene):
    folder = tmp_path / "eval" / "fba_psf"
    for number in range(6):
        write_picture(folder / f"REG_{number:03}.jpg", colour_scene)
    write_picture(folder / "sharp_000.jpg", colour_scene)
    cases = {case.name: case.load() for case in fba_psf_moved(tmp_path)}
    still, moved = cases["still"], cases["moved"]
    assert (still.reference, moved.reference) == (None, FIXED_FRAME)
    shapes = {image.shape for burst in cases.values() for image in (*burst.frames, burst.sharp)}
    assert shapes == {(150 - 64, 160 - 64, 3)}
    differences = [float(np.abs(a - b).mean()) for a, b in zip(moved.frames, still.frames, strict=True)]
    assert differences[FIXED_FRAME] == 0
    assert min(difference for number, difference in enumerate(differences) if number != FIXED_FRAME) > 0.01


def test_every_set_names_the_folder_that_is_missing(tmp_path):
    for cases in BURST_SETS.values():
        with pytest.raises(UsageError, match="give the folder of the data"):
            cases(tmp_path)
