import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.blur.inverse import inverse_filter
from runtime.blur.motion import ANGLES, LENGTHS, blend, load_bank, motion_kernel, motions
from runtime.errors import InvalidModel, ModelNotFound
from runtime.inference.bundle import write_bundle
from tests.runtime.blur.test_inverse import response

LENGTH, ANGLE = st.floats(0, 35, width=32), st.floats(-360, 360, width=32)


def blended(length, angle):
    """Return the weights, by (length, angle), of the motions of the bank that one motion combines."""
    indices, weights = blend(np.array([[[length, angle]]], np.float32))
    total = {}
    for number, weight in zip(indices[0, 0], weights[0, 0], strict=True):
        total[int(number)] = total.get(int(number), 0) + float(weight)
    return {motions()[number]: weight for number, weight in total.items()}


# --- kernels ---


@given(st.floats(1, 35), ANGLE)
def test_kernels_are_point_symmetric_of_sum_one_and_as_long_as_asked(length, angle):
    kernel = motion_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)
    half = kernel.shape[0] // 2
    row, col = np.nonzero(kernel)
    radius = np.hypot(row - half, col - half)
    assert radius.max() <= (length - 1) / 2 + 1


def test_a_motion_of_one_pixel_is_no_blur():
    np.testing.assert_array_equal(motion_kernel(1, 77), [[1]])


def test_along_an_axis_every_pixel_counts_the_same():
    np.testing.assert_allclose(motion_kernel(5, 0)[2], 0.2, rtol=1e-6)
    np.testing.assert_allclose(motion_kernel(5, 90)[:, 2], 0.2, rtol=1e-6)


def test_angles_run_counter_clockwise():
    kernel = motion_kernel(9, 30)
    row, col = np.mgrid[-4:5, -4:5]
    # A line that rises to the right: rows fall as columns grow.
    assert (kernel * row * col).sum() < -1
    spread = (kernel * col**2).sum() / (kernel * row**2).sum()
    assert spread == pytest.approx(1 / np.tan(np.deg2rad(30)) ** 2, rel=0.25) or spread > 2


def test_a_slight_turn_changes_a_kernel_slightly():
    assert np.abs(motion_kernel(21, 40) - motion_kernel(21, 40.5)).sum() < 0.1


# --- the bank ---


def test_the_bank_has_511_motions():
    assert len(motions()) == len(set(motions())) == 511
    assert motions()[0] == (1, 0)
    assert {length for length, _ in motions()} == set(range(1, 36, 2))
    assert {angle for _, angle in motions()} == set(range(0, 180, 6))


def test_shipped_inverse_filters_are_those_of_their_kernels():
    bank = load_bank()
    for number in (0, 1, 100, 257, 510):
        np.testing.assert_allclose(bank.inverses[number], inverse_filter(bank.kernels[number]), atol=2e-4)


@pytest.mark.parametrize("step", [1, 10])
def test_sums_of_inverse_filters_and_kernels_are_near_a_delta(step):
    bank = load_bank()
    numbers = range(0, 511, 17) if step == 1 else range(5, 60, step)
    distances = []
    for number in numbers:
        product = response(bank.kernels[number], bank.inverses[number])
        assert 0 < product.min() < product.max() < 2
        distances.append(np.sqrt(np.square(product - 1).mean()))
    assert max(distances) < 0.28
    assert np.mean(distances) < 0.22


def test_selection_keeps_the_order():
    kernels, inverses = load_bank().select(np.array([7, 0]))
    assert (len(kernels), len(inverses)) == (2, 2)
    assert kernels.starts[2] - kernels.starts[1] == 1
    np.testing.assert_array_equal(kernels.dense()[0][1:-1, 1:-1].sum(), load_bank().kernels[7][1:-1, 1:-1].sum())


# --- Eq. 17 ---


@given(LENGTH, ANGLE)
def test_weights_sum_to_one_over_the_neighbours(length, angle):
    weights = blended(length, angle)
    assert sum(weights.values()) == pytest.approx(1, abs=1e-5)
    for near, turn in weights:
        assert abs(near - max(length, 1)) <= 2 + 1e-4
        away = abs((turn - angle + 90) % 180 - 90)
        assert near == 1 or away <= 6 + 1e-3


@given(st.floats(1, 35, width=32), ANGLE)
def test_weights_are_the_softmax_of_negative_squared_distances(length, angle):
    weights = blended(length, angle)
    if 1.0 in {near for near, _ in weights}:
        return
    squares = {
        (near, turn): (near - length) ** 2 + (((turn - angle + 90) % 180 - 90) / 3) ** 2 for near, turn in weights
    }
    total = sum(np.exp(-square) for square in squares.values())
    for motion, weight in weights.items():
        assert weight == pytest.approx(np.exp(-squares[motion]) / total, abs=1e-3)


@given(LENGTH, ANGLE)
def test_half_a_turn_changes_nothing(length, angle):
    here, there = blended(length, angle), blended(length, np.float32(angle) + np.float32(180))
    for motion in here | there:
        assert here.get(motion, 0) == pytest.approx(there.get(motion, 0), abs=2e-3)


def test_blends_cross_180_degrees():
    assert {angle for _, angle in blended(20, 177)} == {174, 0}
    weights = blended(20, 177)
    assert weights[19, 174] == pytest.approx(weights[19, 0], abs=1e-6)


def test_both_ends_of_the_lengths():
    assert blended(35, 12)[35, 12] == pytest.approx(1 / (1 + np.exp(-4)) ** 2, abs=1e-5)
    assert {length for length, _ in blended(35, 12)} == {33, 35}
    for length in (0, 0.5, 1):
        weights = blended(length, 51)
        assert weights[1, 0] == pytest.approx(1 / (1 + np.exp(-4)), abs=1e-5)


def test_a_blend_is_close_to_the_motion_it_stands_for():
    for length, angle in ((8.3, 20), (17.2, 100.4), (30, 177)):
        side = 35
        blurred = np.zeros((side, side))
        for (near, turn), weight in blended(length, angle).items():
            kernel = motion_kernel(near, turn)
            margin = (side - kernel.shape[0]) // 2
            blurred[margin : side - margin, margin : side - margin] += weight * kernel
        kernel = motion_kernel(length, angle)
        margin = (side - kernel.shape[0]) // 2
        blurred[margin : side - margin, margin : side - margin] -= kernel
        assert np.abs(blurred).sum() < 0.6


# --- bundles ---


def write(folder, assumes=None, **filters):
    folder.mkdir()
    np.savez(folder / "inverse.npz", **filters)
    write_bundle(
        folder,
        {"name": "bank", "version": "1", "method": "irc", "description": "a bank", "licence": "Apache-2.0",
         "constants": {"inverse": "inverse.npz"}, "assumes": assumes or {}},
    )  # fmt: skip
    return folder


def test_a_bank_of_ones_own(tmp_path):
    filters = {
        f"length_{length}": np.full((1 if length == 1 else len(ANGLES), 3, 3), length, np.float16) for length in LENGTHS
    }
    bank = load_bank(write(tmp_path / "bank", **filters))
    assert [float(inverse[0, 0]) for inverse in bank.inverses] == [length for length, _ in motions()]


def test_what_is_no_bank_is_refused(tmp_path):
    with pytest.raises(InvalidModel, match="no inverse filter for 1 px"):
        load_bank(write(tmp_path / "bank", length_3=np.zeros((30, 3, 3), np.float16)))
    for number, shape in enumerate([(1, 3, 5), (1, 4, 4), (1, 301, 301), (1, 3), (0, 3, 3), ()]):
        with pytest.raises(InvalidModel, match="no inverse filter for 1 px"):
            load_bank(write(tmp_path / f"shape {number}", length_1=np.zeros(shape, np.float16)))
    with pytest.raises(ModelNotFound):
        load_bank(tmp_path / "nothing")


@pytest.mark.parametrize("assumes", [{"penalty": 0.1}, {"longest": 21}, {"angle_step": 10}, {"weight": 1}])
def test_a_bank_for_other_motions_or_another_penalty_is_refused(tmp_path, assumes):
    with pytest.raises(InvalidModel, match=f"assumes .*{next(iter(assumes))}"):
        load_bank(write(tmp_path / "bank", assumes, length_1=np.zeros((1, 3, 3), np.float16)))
