from itertools import pairwise

import numpy as np
import pytest

from runtime.blur.periodic import BlurModel
from runtime.deconvolution import observation as module
from runtime.deconvolution.observation import Observation


def _random_kernel(random, shape):
    kernel = random.random(shape).astype(np.float32)
    return kernel / kernel.sum()


def _dense_solution(observed, kernel, model, data, weight, valid):
    """Minimise the masked energy by linear algebra, one unknown per pixel of the periodic plane."""
    size = int(np.prod(model.shape))
    blur, gradient = np.empty((size, size)), np.empty((size, size))
    for pixel in range(size):
        impulse = np.zeros(size, np.float32)
        impulse[pixel] = 1
        spectrum = model.spectrum(impulse.reshape(model.shape))
        blur[:, pixel] = model.plane(model.transfer * spectrum).ravel()
        gradient[:, pixel] = model.plane(model.gradient_power() * spectrum).ravel()
    known = np.zeros(model.shape, bool)
    known[: observed.shape[0], : observed.shape[1]] = valid
    target = np.zeros(model.shape)
    target[: observed.shape[0], : observed.shape[1]] = observed
    rows = blur[known.ravel()]
    return np.linalg.solve(data * rows.T @ rows + weight * gradient, data * rows.T @ target[known]).reshape(model.shape)


@pytest.mark.parametrize("holes", [False, True])
def test_solve_minimises_the_energy_without_the_unknown_pixels(holes, monkeypatch):
    monkeypatch.setattr(module, "_TOLERANCE", 1e-7)
    random = np.random.default_rng(1)
    kernel = _random_kernel(random, (4, 3))
    observed = random.random((12, 11)).astype(np.float32)
    valid = np.ones(observed.shape, bool)
    if holes:
        valid[3:6, 4:7] = False
    model = BlurModel(observed.shape, kernel)
    latent = Observation(observed, kernel, 0.01, valid=valid).solve(1.0, 0.05 * model.gradient_power(), steps=100)
    expected = _dense_solution(observed, kernel, model, 1.0, 0.05, valid)
    np.testing.assert_allclose(model.plane(latent), expected, atol=2e-4)


def test_a_second_solve_starts_where_the_first_ended(scene):
    observation = Observation(scene.observed, scene.kernel, 0.005)
    prior = 1e-2 * observation.model.gradient_power()
    exact = Observation(scene.observed, scene.kernel, 0.005).solve(1.0, prior, steps=200)
    errors = [np.square(np.abs(observation.solve(1.0, prior, steps=3) - exact)).sum() for _ in range(4)]
    assert all(later < 0.8 * earlier for earlier, later in pairwise(errors))


def test_the_preconditioner_is_worth_more_than_its_transforms(make_scene, shake, monkeypatch):
    """The transforms double the cost of a step, so that half as many steps must do better."""
    scene = make_scene(shake, noise=0.002)

    def restore(steps):
        observation = Observation(scene.observed, shake, 0.002)
        model = observation.model
        return model.crop(model.plane(observation.solve(1.0, 1e-3 * model.gradient_power(), steps=steps)))

    exact, preconditioned = restore(500), restore(12)
    monkeypatch.setattr(module, "_PRECONDITIONER_FLOOR", 1e6)
    plain = restore(24)
    assert np.abs(preconditioned - exact).mean() < 0.7 * np.abs(plain - exact).mean()


def test_the_error_of_a_kernel_lowers_the_confidence_where_the_image_is_strong(make_scene, shake):
    scene = make_scene(shake, noise=0.002)
    confidence = [
        Observation(scene.observed, shake, 0.002, kernel_error=error)._confidence for error in (0.0, 0.1, 0.3)
    ]
    np.testing.assert_array_equal(confidence[0], 1)
    assert (confidence[1] < 1).all()
    assert (confidence[2] < confidence[1]).all()
    assert (confidence[2] > 0).all()
    assert confidence[2][confidence[2].shape[0] // 2, -1] > 2 * confidence[2][3, 3], (
        "photographs have little detail at high frequencies"
    )
    flat = Observation(np.full((40, 50), 0.5, np.float32), shake, 0.01, kernel_error=0.3)._confidence
    np.testing.assert_allclose(flat, 1, atol=0.05)


def test_the_linear_term_moves_the_solution(scene):
    observation = Observation(scene.observed, scene.kernel, 0.01)
    model = observation.model
    goal = model.spectrum(np.full(model.shape, 0.25, np.float32))
    weight = np.full(model.power.shape, 1e4, np.float32)
    latent = observation.solve(1.0, weight, 1e4 * goal)
    np.testing.assert_allclose(model.plane(latent), 0.25, atol=1e-3)
