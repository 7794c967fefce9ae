import json

import numpy as np
import pytest

from bench.fuzz.inputs.models import (
    FILE_CHANGES,
    KINDS,
    alter_constants,
    alter_graph,
    files_of,
    forge_constants,
    seal,
    write_seed,
)
from runtime.errors import InvalidModel
from runtime.inference.bundle import MANIFEST, load_model


@pytest.mark.parametrize("kind", KINDS)
def test_every_seed_is_a_valid_bundle(tmp_path, kind):
    write_seed(kind, tmp_path / kind)
    bundle = load_model(tmp_path / kind)
    assert sorted(bundle.files) == files_of(tmp_path / kind)


@pytest.mark.parametrize("change", [alter_graph, *FILE_CHANGES], ids=lambda change: change.__name__)
@pytest.mark.parametrize("seed", range(6))
def test_changes_of_a_network(tmp_path, change, seed):
    changed(tmp_path, "network", "network.fp32.onnx", change, seed)


@pytest.mark.parametrize("change", [alter_constants, forge_constants], ids=lambda change: change.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_changes_of_constants(tmp_path, change, seed):
    changed(tmp_path, "epll-mixture", "mixture.npz", change, seed)


def changed(folder, kind, name, change, seed):
    bundle = folder / kind
    write_seed(kind, bundle)
    before = contents(bundle)
    change(np.random.default_rng(seed), bundle, name)
    after = contents(bundle)
    if change.__name__ == "alter_graph" and before == after:
        pytest.skip("the number drawn is the one that was there")
    assert before != after


def contents(bundle):
    files = [bundle / name for name in files_of(bundle)]
    return {file.name: file.read_bytes() if file.is_file() and not file.is_symlink() else None for file in files}


def test_a_sealed_bundle_is_wrong_in_its_content_alone(tmp_path):
    write_seed("network", tmp_path / "b")
    file = tmp_path / "b" / "network.weights"
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(InvalidModel, match="altered"):
        load_model(tmp_path / "b")
    seal(tmp_path / "b")
    assert json.loads((tmp_path / "b" / MANIFEST).read_text())["files"]["network.weights"]
    load_model(tmp_path / "b")
