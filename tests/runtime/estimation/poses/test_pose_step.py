import dataclasses

import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.blur.kernel import delta, fit, similarity
from runtime.blur.poses import Poses
from runtime.estimation.kernel.correlations import from_periodic
from runtime.estimation.poses.pose_step import PartEquations, _normal_equations, solve_poses

PLACES = [(-150.0, -200.0), (-150.0, 200.0), (150.0, -200.0), (150.0, 200.0), (0.0, 0.0)]
ROLLS = np.linspace(-0.012, 0.012, 7)
SIDE, FRAME = 7, 17


@pytest.fixture(scope="module")
def truth():
    """A camera that moved along a bent path and rolled meanwhile."""
    weights = np.zeros((7, SIDE, SIDE))
    for index, (row, col) in enumerate([(1, 1), (1, 2), (2, 3), (3, 3), (4, 3), (5, 4), (5, 5)]):
        weights[index, row, col] = 1 + index % 3
    return Poses(weights / weights.sum(), ROLLS)


@pytest.fixture(scope="module")
def parts(truth):
    """Sparse edges in every part, sharp and blurred."""
    rng = np.random.default_rng(0)
    made = []
    for place in PLACES:
        edges = np.zeros((2, 96, 96), np.float32)
        edges[:, 25:-25, 25:-25] = rng.standard_normal((2, 46, 46)) * (rng.random((2, 46, 46)) < 0.1)
        kernel = fit(truth.kernel(place), FRAME)
        observed = np.stack([fftconvolve(plane, kernel, "same") for plane in edges]).astype(np.float32)
        made.append(PartEquations(place, from_periodic(edges, observed, FRAME), kernel))
    return made


def flat(side=SIDE):
    return Poses(np.full((7, side, side), 1 / (7 * side**2)), ROLLS)


def test_the_poses_that_made_all_parts_are_found(parts, truth):
    found = solve_poses(parts, flat())
    assert found.weights.min() >= 0
    assert found.weights.sum() == pytest.approx(1)
    for place in PLACES:
        ours, theirs = (fit(poses.kernel(place), FRAME) for poses in (found, truth))
        assert similarity(ours, theirs) > 0.97
    sums = [poses.weights.sum(axis=(1, 2)) @ np.abs(ROLLS) for poses in (found, truth)]
    assert sums[0] == pytest.approx(sums[1], rel=0.2)


def test_anchors_alone_are_followed(parts, truth):
    found = solve_poses(parts, flat(), data_weight=0.0, anchor_weight=1.0)
    for place in PLACES:
        assert similarity(fit(found.kernel(place), FRAME), fit(truth.kernel(place), FRAME)) > 0.97


def test_one_still_part_is_one_kernel(parts, truth):
    start = Poses.without_roll(np.full((FRAME, FRAME), 1 / FRAME**2))
    found = solve_poses(parts[:1], start)
    assert similarity(found.kernel(PLACES[0])[1:-1, 1:-1], fit(truth.kernel(PLACES[0]), FRAME)) > 0.97


def test_the_matrix_is_symmetric_and_agrees_with_the_kernels(parts):
    rng = np.random.default_rng(1)
    normal, target = _normal_equations(parts, flat(), 1.0, 0.0)
    one, other = rng.random((2, 7, SIDE, SIDE))
    assert np.sum(one * normal(other)) == pytest.approx(np.sum(other * normal(one)), rel=1e-9)
    # x'Nx - 2b'x is the sum of the parts' costs less those of a kernel of zeros.
    cost = 0.0
    poses = Poses(one / one.sum(), ROLLS)
    for part in parts:
        kernel = fit(poses.kernel(part.place), FRAME) * one.sum()
        cost += part.equations.cost(kernel) - part.equations.energy
    assert np.sum(one * (normal(one) - 2 * target)) == pytest.approx(cost, rel=1e-3)


def test_without_edges_nothing_changes(parts):
    start = Poses.without_roll(delta((SIDE, SIDE)))
    nothing = from_periodic(np.zeros((2, 64, 64), np.float32), np.zeros((2, 64, 64), np.float32), FRAME)
    assert solve_poses([dataclasses.replace(parts[0], equations=nothing)], start) is start
