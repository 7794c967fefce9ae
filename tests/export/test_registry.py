from __future__ import annotations

import json

import pytest
import torch

from export.chakrabarti.network import Chakrabarti
from export.loop.checkpoints import read_checkpoint, write_checkpoint, write_slim
from export.registry import CONFIGS, KINDS, kind_of, load, parse_config, read_config
from runtime.inference.bundle import list_models, load_model

from .kinds import CONFIGS as TINY
from .kinds import make


def test_every_kind_has_a_shipped_bundle_and_a_configuration():
    # Fourier burst accumulation and the choice among methods have nothing to train.
    assert {bundle.method for bundle in list_models()} - {"fba", "auto"} == set(KINDS)
    for name, kind in KINDS.items():
        config = read_config(name)
        assert config.method == name
        assert config == read_config(kind.default)
        assert kind_of(config) is kind


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_configurations_are_valid_and_survive_json(file):
    config = read_config(file)
    assert parse_config(json.loads(json.dumps(config.to_dict()))) == config
    assert read_config(file.stem) == config
    assert file.read_text().startswith("# ")


def test_shipped_configurations_are_those_of_the_shipped_bundles():
    for name in ("burst", "compact", "motion", "kernel-prior", "repair", "synthesis", "mixture", "bank"):
        config = read_config(name)
        bundle = load_model(config.name)
        assert (bundle.method, bundle.description) == (config.method, config.description)


def test_the_compact_network_fits_a_bundle_of_12_megabytes_and_a_slim_checkpoint():
    network = Chakrabarti(read_config("compact").network)
    learned = sum(parameter.numel() for parameter in network.parameters())
    fixed = sum(buffer.numel() for name, buffer in network.named_buffers() if not name.endswith("ring"))
    assert 2 * learned + 4 * fixed < 11.9e6


def test_the_second_stage_trains_the_network_of_the_first():
    first, second = read_config("compact"), read_config("compact-second")
    assert (second.name, second.network) == (first.name, first.network)


def test_the_paper_network_is_the_papers():
    network = read_config("paper").network
    assert (network.first, network.second, network.full, network.layers) == (1024, 2048, 4096, 5)
    assert (network.style, network.spectra, network.support) == ("plain", False, 65)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(FileNotFoundError, match=r"bank, burst, compact.* a kind of chakrabarti, wieschollek"):
        read_config("nothing")


def test_mistakes_are_named_with_their_file(tmp_path):
    file = tmp_path / "wrong.toml"
    for text, message in (("name = 'x'\nwidth = 3", "unknown key width"), ("method = 'none'", "method must be one of")):
        file.write_text(text)
        with pytest.raises(ValueError, match=message) as caught:
            read_config(file)
        assert str(file) in str(caught.value)
    file.write_text("name = ")
    with pytest.raises(ValueError, match="Invalid value"):
        read_config(file)


@pytest.mark.parametrize("kind", TINY)
def test_checkpoints_give_their_network_back(kind, tmp_path):
    trained = make(kind)
    write_checkpoint(tmp_path / "full.pt", trained.checkpoint)
    write_slim(tmp_path / "slim.pt", trained.checkpoint, dict(trained.network.named_parameters()))
    for name in ("full.pt", "slim.pt"):
        found = load(tmp_path / name)
        assert found.config == trained.config
        assert found.checkpoint.samples == 64
        for key, value in trained.network.state_dict().items():
            assert torch.equal(found.network.state_dict()[key], value), key


@pytest.mark.parametrize(
    "name", ["chakrabarti-compact", "wieschollek-compact", "eboli-motion", "kernel-prior", "repair"]
)
def test_training_can_start_from_the_shipped_bundles(name):
    bundle = load_model(name)
    found = load(bundle.path)
    assert found.config.name == name
    assert found.checkpoint.samples == bundle.training["samples"]
    assert all(value.isfinite().all() for value in found.checkpoint.weights.values())
    assert found.checkpoint.resume is None


@pytest.mark.parametrize("name", ["epll-mixture", "eboli-bank"])
def test_training_cannot_start_from_constants(name):
    with pytest.raises(ValueError, match="from which no training can start"):
        load(load_model(name).path)


def test_damaged_checkpoints_are_refused(tmp_path):
    trained = make("repair")
    path = tmp_path / "checkpoint.pt"
    for config, message in (({"method": "none"}, "method must be one of"), ({"width": 3}, "unknown key width")):
        content = {**trained.checkpoint.config, **config}
        write_checkpoint(path, type(trained.checkpoint)(content, trained.checkpoint.weights))
        with pytest.raises(ValueError, match=message) as caught:
            load(path)
        assert str(path) in str(caught.value)
    write_checkpoint(path, type(trained.checkpoint)(trained.checkpoint.config, {"tail.bias": torch.ones(2)}))
    assert read_checkpoint(path).samples == 0
    with pytest.raises(ValueError, match="are those of another network than Repair"):
        load(path)
