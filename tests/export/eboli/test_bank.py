import numpy as np
import pytest

from export.eboli.bank import BankRunConfig, compute_bank, distance_to_delta
from export.loop.job import Job
from export.onnx.bundles import check_bundle, export_bundle
from export.registry import load
from runtime.blur.inverse import inverse_filter
from runtime.blur.motion import ANGLES, LENGTHS, load_bank, motion_kernel, motions
from runtime.errors import InvalidModel
from runtime.inference.bundle import load_model


def compute(folder, *lengths):
    job = Job(folder, report=lambda line: None)
    return load(compute_bank(BankRunConfig("bank", "for tests", lengths=lengths), job))


def test_a_bank_holds_a_filter_for_every_motion(tmp_path):
    trained = compute(tmp_path / "run", 1, 3)
    bundle = export_bundle(trained, tmp_path / "bank")
    stored = load_model(tmp_path / "bank").load_constants("inverse")
    assert {name: filters.shape[0] for name, filters in stored.items()} == {"length_1": 1, "length_3": 30}
    assert stored["length_3"].dtype == np.float16
    np.testing.assert_allclose(stored["length_3"][5], inverse_filter(motion_kernel(3, 30)), atol=2e-4)
    assert bundle.assumes == {"penalty": 0.01, "longest": 35, "length_step": 2, "angle_step": 6}
    assert 0 < bundle.accuracy["mean_distance_to_delta"] <= bundle.accuracy["largest_distance_to_delta"] < 0.3
    assert check_bundle(tmp_path / "bank", trained) == {}
    with pytest.raises(InvalidModel, match="holds other constants 'inverse'"):
        check_bundle(tmp_path / "bank", compute(tmp_path / "other", 1, 5))


def test_the_whole_bank_is_that_which_the_runtime_needs():
    assert BankRunConfig("bank", "all").lengths == tuple(LENGTHS)
    assert len(motions()) == 1 + (len(LENGTHS) - 1) * len(ANGLES)
    assert len(load_bank().inverses) == len(motions())


def test_distance_to_delta():
    kernel = motion_kernel(5, 30)
    nothing = np.zeros((13, 13), np.float32)
    assert distance_to_delta(kernel, nothing) == pytest.approx(1)
    near, far = (distance_to_delta(kernel, inverse_filter(kernel, side=side)) for side in (25, 9))
    assert near < far < 1


def test_shipped_bank_is_as_good_as_it_says():
    bundle = load_model("eboli-bank")
    stored = bundle.load_constants("inverse")
    for length, number in ((3, 1), (21, 10), (35, 15)):
        kernel, inverse = motion_kernel(length, 6 * number), stored[f"length_{length}"][number].astype(np.float32)
        assert distance_to_delta(kernel, inverse) <= bundle.accuracy["largest_distance_to_delta"] + 1e-4
