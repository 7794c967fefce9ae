import numpy as np
import pytest
from skimage.data import astronaut

from runtime.blur import blurs
from runtime.blur.blurs import KernelBlur, PoseBlur
from runtime.blur.periodic import convolve
from runtime.blur.poses import Poses
from runtime.colour import luminance
from runtime.deconvolution import deconvolve
from runtime.options import Options
from runtime.run import Run


def blurred_by(plane, poses):
    return PoseBlur(poses).apply(plane[None])[0]


def deconvolved(planes, blur, quality="balanced", progress=None):
    return deconvolve(planes, blur, Run(Options(quality=quality), progress=progress))


@pytest.fixture(scope="module")
def planes():
    return np.ascontiguousarray(np.moveaxis(astronaut()[:240, 80:400], -1, 0) / np.float32(255))


@pytest.fixture(scope="module")
def rolling():
    weights = np.zeros((5, 7, 7))
    weights[range(5), 3, range(1, 6)] = 0.2
    return Poses(weights, np.linspace(-0.03, 0.03, 5))


def test_a_still_camera_blurs_alike_everywhere(planes):
    kernel = np.full((1, 5), 0.2)
    poses = Poses.without_roll(np.pad(kernel, ((2, 2), (0, 0))))
    plane = luminance(planes)
    np.testing.assert_allclose(blurred_by(plane, poses), convolve(plane, kernel.astype(np.float32)), atol=1e-5)
    restored = deconvolved(planes, PoseBlur(poses))
    difference = np.abs(restored - deconvolved(planes, KernelBlur(kernel.astype(np.float32))))
    assert difference.mean() < 1e-3


def test_no_blur_is_no_blur(planes):
    poses = Poses.without_roll(np.pad([[1.0]], 1))
    plane = luminance(planes)
    np.testing.assert_allclose(blurred_by(plane, poses), plane, atol=1e-5)


def test_what_a_turning_camera_did_is_undone(planes, rolling):
    blurred = np.stack([blurred_by(plane, rolling) for plane in planes])
    reports = []
    restored = deconvolved(blurred, PoseBlur(rolling), "fast", lambda *report: reports.append(report))
    one = deconvolved(blurred, KernelBlur(rolling.kernel((0.0, 0.0)).astype(np.float32)), "fast")
    errors = [np.square(each - planes)[:, 12:-12, 12:-12].mean() for each in (blurred, one, restored)]
    assert errors[2] < 0.5 * errors[0]
    assert errors[2] < 0.7 * errors[1]
    assert reports[-1] == ("deconvolve", 1.0)
    assert restored.dtype == np.float32


def test_parts_fade_into_each_other(planes, rolling, monkeypatch):
    plane = luminance(planes)
    coarse = blurred_by(plane, rolling)
    monkeypatch.setattr(blurs, "_KERNEL_CHANGE", 0.1)
    monkeypatch.setattr(blurs, "_SMALLEST_PART", 48)
    fine = blurred_by(plane, rolling)
    assert np.abs(coarse - fine)[8:-8, 8:-8].mean() < 0.01
    assert np.isfinite(fine).all()


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (70, 9)])
def test_every_size_is_blurred_and_restored(rolling, shape):
    plane = np.random.default_rng(0).random(shape, np.float32)
    assert blurred_by(plane, rolling).shape == shape
    restored = deconvolved(plane[None], PoseBlur(rolling), "fast")
    assert restored.shape == (1, *shape)
    assert np.isfinite(restored).all()
