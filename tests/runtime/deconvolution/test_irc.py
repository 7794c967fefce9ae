import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, cg

from runtime.blur.inverse import PENALTY
from runtime.blur.operators import KernelOperator
from runtime.deconvolution import irc as irc_module
from runtime.deconvolution.irc import (
    Problem,
    admm,
    gathered_residual,
    gradient,
    gradient_adjoint,
    irc,
    residual_compensation,
    safe_step_length,
    smooth_start,
)
from runtime.deconvolution.observation import Observation
from runtime.deconvolution.wiener import wiener


@pytest.fixture(scope="module")
def observation(scene):
    return Observation(scene.observed, scene.kernel, 0.005)


@pytest.fixture(scope="module")
def problem(observation):
    return Problem(observation.extended[None], observation.known, KernelOperator(observation.model), 0.025)


@given(st.integers(1, 20), st.integers(1, 20))
def test_gradients_are_forward_differences_with_an_adjoint(height, width):
    random = np.random.default_rng(height)
    planes = random.normal(size=(2, height, width)).astype(np.float32)
    target = random.normal(size=(2, 2, height, width)).astype(np.float32)
    found = gradient(planes)
    np.testing.assert_allclose(found[0], np.diff(planes, axis=2, append=planes[:, :, -1:]), atol=1e-6)
    np.testing.assert_allclose(found[1], np.diff(planes, axis=1, append=planes[:, -1:]), atol=1e-6)
    assert np.vdot(found, target) == pytest.approx(np.vdot(planes, gradient_adjoint(target)), abs=1e-3)


def energy(problem, latent, target):
    misfit = problem.known * (problem.observed - problem.blur.apply(latent))
    return np.square(misfit).sum() / PENALTY + np.square(target - gradient(latent)).sum()


def test_the_gathered_residual_is_the_direction_in_which_the_energy_falls(problem):
    target = 0.5 * gradient(problem.observed)
    direction = gathered_residual(problem, problem.observed, target)
    change = np.random.default_rng(0).normal(size=direction.shape).astype(np.float32)
    step = 1e-3
    slope = (
        energy(problem, problem.observed + step * change, target)
        - energy(problem, problem.observed - step * change, target)
    ) / (2 * step)
    assert slope == pytest.approx(-2 * np.vdot(direction, change), rel=0.02, abs=1)


def least_energy(problem, target):
    """The minimum of the energy, by conjugate gradients."""
    shape = problem.observed.shape
    zeros = np.zeros_like(target)
    homogeneous = problem._replace(observed=np.zeros(shape, np.float32))

    def normal(planes):
        return -gathered_residual(homogeneous, planes.reshape(shape).astype(np.float32), zeros).ravel()

    size = problem.observed.size
    right = gathered_residual(problem, np.zeros(shape, np.float32), target).ravel()
    solution, _ = cg(LinearOperator((size, size), normal), right, x0=problem.observed.ravel(), maxiter=200)
    return energy(problem, solution.reshape(shape).astype(np.float32), target)


def test_compensations_converge_to_the_least_squares_solution(problem):
    target = 0.5 * gradient(problem.observed)
    least = least_energy(problem, target)
    gaps = [
        energy(problem, residual_compensation(count)(problem, problem.observed, target), target) - least
        for count in (1, 4, 16, 64)
    ]
    start = energy(problem, problem.observed, target) - least
    assert least > 0
    assert 0 < gaps[3] < gaps[2] < gaps[0]
    # Momentum may make a few compensations overshoot, but the energy stays far below that of the start.
    assert max(gaps) < 0.05 * start
    assert gaps[3] < 1e-3 * start


def test_stages_lower_what_is_to_be_minimised(problem):
    def objective(latent):
        misfit = problem.known * (problem.observed - problem.blur.apply(latent))
        return 0.5 * np.square(misfit).sum() + PENALTY * problem.threshold * np.abs(gradient(latent)).sum()

    first, fifth = (admm(problem, residual_compensation(), problem.observed, stages=stages) for stages in (1, 5))
    assert objective(fifth) < objective(first) < objective(problem.observed)


def test_progress_is_reported(problem):
    fractions = []
    admm(problem, residual_compensation(), problem.observed, stages=2, progress=fractions.append)
    assert fractions == [0.5, 1.0]


def test_a_compensation_that_overshoots_is_cut_short(problem):
    target = np.zeros_like(gradient(problem.observed))
    residual = gathered_residual(problem, problem.observed, target)
    direction = problem.blur.invert(residual)
    for factor in (1, 30, 1000):
        length = safe_step_length(problem, residual, np.float32(factor) * direction)
        assert 0 <= length.min() <= length.max() <= 1
    assert length.max() < 0.1
    np.testing.assert_array_equal(safe_step_length(problem, residual, -direction), 0)


def test_what_the_neighbourhood_adds_up():
    plane = np.random.default_rng(0).random((90, 70))
    found = irc_module._neighbourhood_sum(plane)
    reach = irc_module._NEIGHBOURHOOD
    for row, col in ((0, 0), (31, 32), (33, 34), (50, 5), (89, 69)):
        box = plane[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
        assert found[row, col] == pytest.approx(box.sum())


def test_the_smooth_start_is_better_than_none(problem):
    target = np.zeros_like(gradient(problem.observed))
    assert energy(problem, smooth_start(problem), target) < 0.2 * energy(problem, problem.observed, target)


def test_it_restores_better_than_the_linear_method(scene, observation, psnr):
    restored = observation.model.crop(irc(observation))
    linear = observation.model.crop(wiener(Observation(scene.observed, scene.kernel, 0.005)))
    assert psnr(restored, scene.latent, 10) > psnr(scene.observed, scene.latent, 10) + 3
    assert psnr(restored, scene.latent, 10) > psnr(linear, scene.latent, 10)


def test_pixels_that_do_not_count_may_hold_anything(scene, psnr):
    valid = np.ones(scene.observed.shape, bool)
    valid[40:46, 50:58] = False
    spoilt = np.where(valid, scene.observed, 1.0).astype(np.float32)
    masked, unmasked = (
        (lambda each: each.model.crop(irc(each)))(Observation(spoilt, scene.kernel, 0.005, valid=known))
        for known in (valid, None)
    )
    assert psnr(masked, scene.latent) > psnr(unmasked, scene.latent) + 1


def test_what_is_flat_stays_flat(shake):
    flat = Observation(np.full((40, 50), 0.4, np.float32), shake, 0.005)
    np.testing.assert_allclose(irc(flat), 0.4, atol=1e-3)
