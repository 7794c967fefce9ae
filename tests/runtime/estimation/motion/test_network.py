import numpy as np
import pytest

from runtime.errors import InvalidModel
from runtime.estimation.motion.network import MotionNetwork
from runtime.inference.devices import CPU
from tests.support.models import write_motion_bundle


@pytest.mark.parametrize("assumes", [{"longest": 50}, {"range": [0, 255]}, {"longest": "far"}])
def test_networks_for_longer_motions_or_other_pixels_are_refused(tmp_path, assumes):
    bundle = write_motion_bundle(tmp_path / "other", (3.0, 0.0, 0.0), assumes=assumes)
    with pytest.raises(InvalidModel, match="assumes"):
        MotionNetwork(bundle, device=CPU)


def test_networks_for_shorter_motions_are_taken(tmp_path):
    bundle = write_motion_bundle(tmp_path / "other", (3.0, 0.0, 0.0), assumes={"longest": 20})
    assert MotionNetwork(bundle, device=CPU).geometry == bundle.patch


@pytest.mark.parametrize("motion", [(np.nan, 0, 0), (1, np.inf, 0), (1, 1, 1000), (1, 1, -1000)])
def test_motions_that_are_not_finite_are_an_error(tmp_path, motion):
    network = MotionNetwork(write_motion_bundle(tmp_path / "nan", motion), device=CPU)
    with pytest.raises(InvalidModel, match="its weights are damaged"):
        network.predict(np.zeros((40, 40), np.float32), network.grid(40, 40))
