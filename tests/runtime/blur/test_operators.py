import numpy as np
import pytest
from scipy.signal import fftconvolve

from runtime.blur.motion import load_bank, motion_kernel
from runtime.blur.operators import KernelOperator, MotionOperator
from runtime.blur.periodic import BlurModel


def uniform(kernel, shape=(40, 51)):
    return KernelOperator(BlurModel(shape, kernel)), BlurModel(shape, kernel).shape


def turning_field(shape=(40, 51)):
    row, col = np.mgrid[: shape[0], : shape[1]]
    return np.stack([3 + row / 8, 4.0 * col], axis=-1).astype(np.float32)


def moving(shape=(40, 51)):
    return MotionOperator.of_field(turning_field(shape), load_bank()), shape


@pytest.fixture(params=["uniform", "motion"])
def blur(request, shake):
    return uniform(shake) if request.param == "uniform" else moving()


def random(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)


def test_the_adjoint_is_one(blur):
    operator, shape = blur
    x, y = random(shape), random(shape, 1)
    assert np.vdot(operator.apply(x), y) == pytest.approx(np.vdot(x, operator.adjoint(y)), abs=0.02)


def test_planes_do_not_mix(blur):
    operator, shape = blur
    x = random(shape)
    x[1] = 0
    for apply in (operator.apply, operator.adjoint, operator.invert):
        assert np.abs(apply(x)[1]).max() == 0


def test_uniform_blur_is_a_convolution(shake):
    operator, shape = uniform(shake)
    x = random(shape)
    inside = slice(20, -20)
    expected = np.stack([fftconvolve(plane, shake, mode="same") for plane in x])
    np.testing.assert_allclose(operator.apply(x)[:, inside, inside], expected[:, inside, inside], atol=1e-5)


def test_a_constant_field_is_a_uniform_blur():
    field = np.empty((40, 51, 2), np.float32)
    field[:] = 9, 30
    x = random((40, 51))
    blurred = MotionOperator.of_field(field, load_bank()).apply(x)
    expected = np.stack([fftconvolve(plane, motion_kernel(9, 30), mode="same") for plane in x])
    assert np.abs(blurred - expected).max() < 0.05 * np.abs(expected).max() + 0.02


def test_where_nothing_moves_nothing_blurs():
    field = np.zeros((20, 30, 2), np.float32)
    x = random((20, 30))
    blurred = MotionOperator.of_field(field, load_bank()).apply(x)
    # Eq. 17 gives the next motion of the bank, 3 px, its small share.
    assert np.abs(blurred - x).max() < 0.06 * np.abs(x).max()


def test_a_filter_longer_than_the_plane_wraps_around_it():
    kernel = motion_kernel(15, 0)
    operator, shape = uniform(kernel, (15, 15))
    assert np.isfinite(operator.invert(random(shape))).all()


def test_the_bank_is_cut_to_what_the_field_uses():
    operator, _ = moving()
    assert len(operator.kernels) == len(operator.inverses) == operator.indices.max() + 1 < 200
    assert operator.kernels.reach[0] < 8
