import numpy as np
import pytest

from kernels.formulas.hyper_laplacian import EXPONENT, START, STEPS, THRESHOLD, unit_scale


def cost(v, value, coupling=1.0):
    return np.abs(v) ** EXPONENT + coupling / 2 * (v - value) ** 2


def test_at_the_threshold_zero_is_as_good_as_half():
    assert cost(0.0, THRESHOLD) == pytest.approx(cost(THRESHOLD / 2, THRESHOLD))
    v = np.linspace(0, 2 * THRESHOLD, 10_001)
    assert v[np.argmin(cost(v, 0.99 * THRESHOLD))] == 0
    assert v[np.argmin(cost(v, 1.01 * THRESHOLD))] > THRESHOLD / 2


def test_newtons_method_gets_there_in_so_many_steps():
    value = THRESHOLD * np.geomspace(1, 1e6, 200)
    root = np.cbrt(value - START * THRESHOLD**2 / value)
    for _ in range(STEPS):
        root -= (root**4 - value * root + EXPONENT) / (4 * root**3 - value)
    np.testing.assert_allclose(root**4 - value * root, -EXPONENT, rtol=0, atol=2e-6 * value[-1] ** (4 / 3))
    np.testing.assert_allclose((EXPONENT / root + root**3) / value, 1, rtol=1e-6)


@pytest.mark.parametrize("coupling", [0.1, 1.0, 16.0, 1024.0])
def test_the_scale_turns_any_coupling_into_one(coupling):
    scale = unit_scale(coupling)
    v = np.linspace(0, 3, 7)
    factor = cost(0.0, scale, coupling) / cost(0.0, 1.0)
    np.testing.assert_allclose(cost(scale * v, scale, coupling), factor * cost(v, 1.0))
