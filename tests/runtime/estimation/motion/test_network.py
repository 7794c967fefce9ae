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
