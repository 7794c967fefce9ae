import numpy as np
import pytest
from skimage.data import astronaut

from runtime.blur.operators import blur_varying
from runtime.blur.poses import Poses
from runtime.estimation.poses.search import Turning
from runtime.inference.devices import CPU
from runtime.inference.progress import Stopwatch
from runtime.options import Options
from runtime.restoration import turning as module
from runtime.restoration.turning import LARGEST, ROOM, SMALLEST, UNKNOWN, TurningCamera


@pytest.fixture(scope="module")
def poses():
    weights = np.zeros((5, 9, 9))
    weights[range(5), 4, range(1, 6)] = 0.2
    return Poses(weights, np.linspace(-0.02, 0.02, 5)).centred()


@pytest.fixture(scope="module")
def sharp():
    return np.ascontiguousarray(np.moveaxis(astronaut()[:240, 80:400], -1, 0) / np.float32(255))


@pytest.fixture(scope="module")
def observed(sharp, poses):
    blurred = np.stack([blur_varying(plane, poses) for plane in sharp])
    return (blurred + np.random.default_rng(0).normal(0, 0.004, blurred.shape)).astype(np.float32)


@pytest.fixture
def asked(monkeypatch, poses):
    """The sides in which poses are looked for: they are found at once."""
    sides = []

    def find(observed, side, prior, progress):
        sides.append(side)
        return Turning(poses, -2.5)

    monkeypatch.setattr(module, "estimate_turning", find)
    return sides


def restore(observed, kernel):
    return TurningCamera(CPU).restore(observed, kernel, Options(), Stopwatch(), None)


def test_what_the_poses_did_is_undone_and_a_gain_expected(asked, sharp, observed, poses):
    turned = restore(observed, None)
    errors = [np.square(each - sharp)[:, 16:-16, 16:-16].mean() for each in (observed, turned.estimate.latent)]
    assert errors[1] < 0.5 * errors[0]
    assert turned.estimate.gain > 1
    assert 0 <= turned.estimate.confidence <= 1
    assert turned.estimate.kernel.sum() == pytest.approx(1, abs=1e-5)
    assert turned.blurred.shape == observed.shape[1:]
    assert np.abs(turned.blurred - observed.mean(axis=0)).mean() < 0.03


@pytest.mark.parametrize("extent", [None, 3, 15])
def test_the_kernel_for_all_says_how_far_to_look(asked, observed, extent):
    kernel = None if extent is None else np.full((extent, extent), 1 / extent**2, np.float32)
    restore(observed, kernel)
    assert asked == [UNKNOWN if extent is None else max(extent + ROOM, SMALLEST)]


def test_nothing_is_looked_for_where_it_would_be_in_vain(asked, observed):
    assert restore(observed[:, :100, :100], None) is None
    assert restore(observed, np.full((LARGEST, LARGEST), 1 / LARGEST**2, np.float32)) is None
    assert asked == []
