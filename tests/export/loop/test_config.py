from __future__ import annotations

import json

import pytest

from export.chakrabarti.network import Chakrabarti
from export.loop.config import CONFIGS, parse_config, read_config


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_configurations_are_valid_and_survive_json(file):
    config = read_config(file)
    assert parse_config(json.loads(json.dumps(config.to_dict()))) == config
    assert read_config(file.stem) == config


def test_the_compact_network_fits_a_bundle_of_12_megabytes():
    network = Chakrabarti(read_config("compact").network)
    learnt = sum(parameter.numel() for parameter in network.parameters())
    fixed = sum(buffer.numel() for name, buffer in network.named_buffers() if not name.endswith("ring"))
    assert 2 * learnt + 4 * fixed < 11.9e6


def test_the_second_stage_trains_the_network_of_the_first():
    first, second = read_config("compact"), read_config("compact-second")
    assert (second.name, second.network) == (first.name, first.network)


def test_the_paper_network_is_the_papers():
    network = read_config("paper").network
    assert (network.first, network.second, network.full, network.layers) == (1024, 2048, 4096, 5)
    assert (network.style, network.spectra, network.support) == ("plain", False, 65)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(FileNotFoundError, match="burst, compact, compact-second, motion, paper"):
        read_config("nothing")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'", "description"),
        ("name = 'x'\ndescription = 'y'\nwidth = 3", "unknown key width"),
        ("name = 'x'\ndescription = 'y'\n[train]\nrate = 3", "unknown key train.rate"),
        ("name = 'x'\ndescription = 'y'\n[train]\nbatch = 6", "multiples of data.share"),
        ("name = 'x'\ndescription = 'y'\n[train]\nsteps = 0", "at least 1"),
        ("name = 'x'\ndescription = 'y'\n[train]\nwarmup = 1.5", "warmup"),
        ("name = 'x'\ndescription = 'y'\n[train]\nprecision = 'fp8'", "precision must be"),
        ("name = ", "Invalid value"),
    ],
)
def test_mistakes_are_named_with_their_file(tmp_path, text, message):
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_config(file)
    assert str(file) in str(caught.value)
