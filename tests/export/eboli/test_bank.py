import numpy as np
import pytest

from export.eboli.bank import distance_to_delta, export_bank, main
from runtime.blur.inverse import inverse_filter
from runtime.blur.motion import motion_kernel
from runtime.inference.bundle import load_model


def test_bank_holds_a_filter_for_every_motion(tmp_path):
    bundle = export_bank(tmp_path / "bank", lengths=(1, 3))
    stored = load_model(tmp_path / "bank").load_constants("inverse")
    assert {name: filters.shape[0] for name, filters in stored.items()} == {"length_1": 1, "length_3": 30}
    assert stored["length_3"].dtype == np.float16
    np.testing.assert_allclose(stored["length_3"][5], inverse_filter(motion_kernel(3, 30)), atol=2e-4)
    assert bundle.training["config"]["penalty"] == 0.01
    assert 0 < bundle.accuracy["mean_distance_to_delta"] <= bundle.accuracy["largest_distance_to_delta"] < 0.3


def test_export_is_repeatable(tmp_path):
    first, second = (export_bank(tmp_path / name, lengths=(1, 3)) for name in ("one", "two"))
    np.testing.assert_equal(first.load_constants("inverse"), second.load_constants("inverse"))


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


def test_command_needs_a_folder(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "--out" in capsys.readouterr().err
