import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.models import dense_flops, describe_model, make_untrained, open_model, patch_geometry
from runtime.errors import InvalidModel, MissingDependency, ModelNotFound
from runtime.inference.bundle import PatchGeometry
from runtime.inference.devices import CPU
from runtime.inference.session import Session
from tests.support.models import write_patch_bundle


def test_a_bundle_is_opened_by_its_path(bundle):
    with open_model(str(bundle.path)) as opened:
        assert opened.name == bundle.name
        assert describe_model(opened) == {"name": "identity-filters", "version": "1", "weights": "random"}
    assert bundle.path.is_dir()


def test_what_was_trained_is_called_so(tmp_path):
    trained = write_patch_bundle(tmp_path / "trained", "filters", training={"samples": 10})
    assert describe_model(trained)["weights"] == "trained"
    assert describe_model(replace(trained, parts={}))["weights"] == "of other models"


def test_a_configuration_becomes_an_untrained_bundle_for_a_while(tiny_config, rng):
    pytest.importorskip("torch")
    with open_model(str(tiny_config)) as made:
        assert describe_model(made) == {"name": "tiny", "version": "1", "weights": "random"}
        assert patch_geometry(made) == PatchGeometry(65, 33, 8)
        session = Session(made.part("network"), device=CPU, precision="fp32")
        filters = session.run(patches=rng.random((2, 65, 65), np.float32))["filters"]
        # Filters of an untrained head would be the identity for every patch.
        assert np.abs(filters[0] - filters[1]).max() > 1e-4
        path = made.path
        assert not [file for file in path.parent.iterdir() if file.suffix == ".pt"]
    assert not path.exists()


def test_an_untrained_bundle_can_be_kept(tiny_config, tmp_path):
    pytest.importorskip("torch")
    assert make_untrained(str(tiny_config), str(tmp_path)) == {"name": "tiny", "version": "1", "weights": "random"}
    with open_model(str(tmp_path / "bundle")) as kept:
        # Widths of the configuration, and of the bands and the filter that every network has.
        products = [(416, 4), (416, 4), (289, 4), (8, 4), (8, 4), (8, 8), (8, 65 * 65)]
        assert dense_flops(kept) == sum(2 * rows * cols for rows, cols in products)


def test_what_is_no_configuration_is_not_made(tmp_path):
    with pytest.raises(ModelNotFound, match="nonsense"):
        make_untrained("nonsense", str(tmp_path))


def test_counting_operations_needs_onnx(bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependency, match="onnx"):
        dense_flops(bundle)


def test_neither_a_bundle_nor_a_configuration_is_not_found():
    with pytest.raises(ModelNotFound, match="no model named 'nonsense'"), open_model("nonsense"):
        pass


def test_an_untrained_network_needs_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"deblur-runtime\[export\]"), open_model("paper"):
        pass


def test_a_model_without_patches_is_refused(bundle):
    class Patchless:
        path, patch = Path("somewhere"), None

    with pytest.raises(InvalidModel, match="patch model"):
        patch_geometry(Patchless())
