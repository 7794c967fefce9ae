import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.estimation.motion.affine import double_angle, fit_affine, half_angle

POSITIONS = np.stack(np.meshgrid(np.linspace(-0.5, 0.5, 9), np.linspace(-0.4, 0.4, 7)), axis=-1).reshape(-1, 2)
BASIS = np.concatenate([np.ones((len(POSITIONS), 1)), POSITIONS], axis=1)

MOTIONS = {
    "straight": [[6, 3], [0, 0], [0, 0]],
    "turn": [[0, 0], [0, 20], [20, 0]],
    "turn about a corner": [[9, 8], [0, 22], [22, 0]],
    "approach": [[0, 0], [25, 0], [0, -25]],
    "anything": [[5, -7], [8, 3], [-4, 12]],
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
def test_a_motion_is_found_up_to_sign(motion):
    motion = np.array(motion, float)
    found = fit_affine(double_angle(BASIS @ motion), np.ones(len(POSITIONS)), POSITIONS)
    assert min(np.abs(found - motion).max(), np.abs(found + motion).max()) < 1e-3


def test_what_moves_by_itself_hardly_changes_the_motion_of_the_camera():
    motion = np.array(MOTIONS["straight"], float)
    vectors = double_angle(BASIS @ motion)
    vectors[::6] = (-20, 5)
    fitted = double_angle(BASIS @ fit_affine(vectors, np.ones(len(POSITIONS)), POSITIONS))
    assert np.linalg.norm(fitted - double_angle(BASIS @ motion), axis=1).max() < 1.0


def test_what_is_uncertain_hardly_counts():
    motion = np.array(MOTIONS["turn"], float)
    vectors, errors = double_angle(BASIS @ motion), np.ones(len(POSITIONS))
    vectors[::2] += np.random.default_rng(1).normal(0, 20, (len(vectors[::2]), 2))
    errors[::2] = 30
    fitted = double_angle(BASIS @ fit_affine(vectors, errors, POSITIONS))
    assert np.linalg.norm(fitted - double_angle(BASIS @ motion), axis=1).mean() < 0.5


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_positions_do(count):
    positions, vectors = np.zeros((count, 2)), np.full((count, 2), 3.0)
    positions[:, 0] = np.arange(count)
    found = fit_affine(vectors, np.ones(count), positions)
    fitted = double_angle(np.concatenate([np.ones((count, 1)), positions], axis=1) @ found)
    np.testing.assert_allclose(fitted, vectors, atol=1e-6)


@given(st.floats(-30, 30), st.floats(-30, 30))
@settings(deadline=None, max_examples=30)
def test_half_of_the_double_angle_is_the_vector_or_its_opposite(right, up):
    vector = np.array([right, up])
    back = half_angle(double_angle(vector))
    assert min(np.abs(back - vector).max(), np.abs(back + vector).max()) < 1e-6
    np.testing.assert_allclose(double_angle(-vector), double_angle(vector))
