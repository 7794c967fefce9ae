import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.deconvolution.observation import Observation
from runtime.deconvolution.wiener import wiener


def restore(image, kernel, noise, **options):
    observation = Observation(image, kernel, noise)
    return observation.model.crop(wiener(observation, **options))


def test_it_sharpens(scene, psnr):
    restored = restore(scene.observed, scene.kernel, 0.005)
    assert psnr(restored, scene.latent) > psnr(scene.observed, scene.latent) + 4


@given(seed=st.integers(0, 99), factor=st.floats(-2, 2))
def test_it_is_linear(scene, seed, factor):
    """Linear up to the accuracy of the unknown pixels, which is high away from the boundary."""
    other = np.random.default_rng(seed).random(scene.observed.shape).astype(np.float32)
    mixed = restore((scene.observed + factor * other).astype(np.float32), scene.kernel, 0.05, steps=60)
    apart = [restore(image, scene.kernel, 0.05, steps=60) for image in (scene.observed, other)]
    difference = np.abs(mixed - (apart[0] + factor * apart[1]))
    assert difference.max() < 1e-2
    assert difference[13:-13, 13:-13].max() < 5e-4


def test_more_noise_gives_a_smoother_image(scene):
    variation = [np.abs(np.diff(restore(scene.observed, scene.kernel, noise))).mean() for noise in (0.002, 0.01, 0.05)]
    assert variation[0] > variation[1] > variation[2]
