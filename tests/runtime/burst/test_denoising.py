import numpy as np
import pytest

from runtime.burst.denoising import above_noise, noise_power
from tests.support.bursts import scene, shaken


def test_noise_alone_nearly_vanishes(rng):
    noise = 0.05 * rng.standard_normal((3, 150, 190), dtype=np.float32)
    assert above_noise(noise, 0.05**2).std() < 0.2 * noise.std()


def test_what_is_stronger_than_the_noise_stays(rng):
    first, second = shaken(scene(), 2, noise=0)
    wanted = first - second
    noise = 0.03 * rng.standard_normal(wanted.shape, dtype=np.float32)
    found = above_noise(wanted + noise, 0.03**2)
    assert found.flags.c_contiguous
    assert np.mean((found - wanted) ** 2) < 0.3 * np.mean(noise**2)
    np.testing.assert_allclose(above_noise(wanted, 0.0), wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 50), (1, 7, 40)])
def test_any_size(shape):
    assert above_noise(np.ones(shape, np.float32), 1e-4).shape == shape


def test_noise_power_is_that_of_the_colours(rng):
    flat = 0.5 + np.array([0.01, 0.02, 0.03])[:, None, None] * rng.standard_normal((3, 200, 200))
    assert noise_power(flat.astype(np.float32)) == pytest.approx((0.01**2 + 0.02**2 + 0.03**2) / 3, rel=0.05)
