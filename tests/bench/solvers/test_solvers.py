import numpy as np
import pytest

from bench.solvers.solvers import PeriodicBlur, conjugate_gradients, fourier
from runtime.blur.motion import motion_kernel
from runtime.deconvolution.irc import Problem, gathered_residual, gradient

KERNEL = motion_kernel(7, 30)
SHAPE = (40, 52)


@pytest.fixture
def problem(scene):
    blur = PeriodicBlur(KERNEL, SHAPE)
    latent = scene[None, : SHAPE[0], : SHAPE[1]]
    return Problem(blur.apply(latent), np.ones(SHAPE, np.float32), blur, 0.02)


def test_the_adjoint_is_one():
    blur, random = PeriodicBlur(KERNEL, SHAPE), np.random.default_rng(0)
    x, y = random.normal(size=(2, 1, *SHAPE))
    assert np.vdot(blur.apply(x), y) == pytest.approx(np.vdot(x, blur.adjoint(y)), abs=1e-3)


def test_blur_is_a_circular_convolution():
    impulse = np.zeros((1, *SHAPE), np.float32)
    impulse[0, 0, 0] = 1
    half = KERNEL.shape[0] // 2
    blurred = np.roll(PeriodicBlur(KERNEL, SHAPE).apply(impulse), (half, half), (1, 2))
    np.testing.assert_allclose(blurred[0, : 2 * half + 1, : 2 * half + 1], KERNEL, atol=1e-6)


def test_conjugate_gradients_find_where_the_residual_vanishes(problem):
    target = 0.5 * gradient(problem.observed)
    start = np.linalg.norm(gathered_residual(problem, problem.observed, target))
    few, many = (
        np.linalg.norm(gathered_residual(problem, conjugate_gradients(n)(problem, problem.observed, target), target))
        for n in (3, 200)
    )
    assert many < 1e-3 * start
    assert many < few


def test_conjugate_gradients_stop_when_they_have_converged(problem):
    target = 0.5 * gradient(problem.observed)
    once = conjugate_gradients()(problem, problem.observed, target)
    np.testing.assert_array_equal(conjugate_gradients(tolerance=1e-3)(problem, once, target), once)


def test_the_division_in_the_fourier_domain_is_the_solution_but_at_the_border(problem):
    target = 0.5 * gradient(problem.observed)
    divided = fourier(KERNEL)(problem, problem.observed, target)
    solved = conjugate_gradients()(problem, problem.observed, target)
    inside = slice(12, -12)
    np.testing.assert_allclose(divided[:, inside, inside], solved[:, inside, inside], atol=0.05)
