from __future__ import annotations

import numpy as np

from export.wieschollek.onnx import SHAPES, SPEC, probes, shaken_probes


def test_photographs_add_bursts_of_their_own(photographs):
    bursts = [burst for (burst,) in probes(photographs)]
    assert [burst.shape for burst in bursts] == 2 * [(*shape, 65, 65) for shape in SHAPES]
    assert all(burst.dtype == np.float32 for burst in bursts)


def test_probes_come_as_bursts_of_unlike_frames():
    probes = shaken_probes(10, 3)
    assert probes.shape == (10, 3, 65, 65)
    assert probes.dtype == np.float32
    flat = np.ptp(probes, axis=(2, 3)) < 1e-6
    assert flat.all(1).sum() >= 3
    assert np.abs(probes[0, 0] - probes[0, 1]).max() > 1e-3
    np.testing.assert_array_equal(probes, shaken_probes(10, 3))


def test_validation_is_recorded():
    found = SPEC.accuracy({"7": 5.88712, "all": 4.0})
    assert found["validation_gain_over_fba_db"] == {"7": 5.887, "all": 4.0}
    assert (found["validation_frames"], found["validation_noise"]) == (14, 0.01)
