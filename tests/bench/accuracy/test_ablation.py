import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut, coffee

from bench.__main__ import main
from bench.accuracy.ablation import GUIDANCE, STRATEGIES, guided, strategic


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name, picture in (("a", astronaut()), ("b", coffee())):
        Image.fromarray(np.ascontiguousarray(picture[:300, :300])).save(folder / f"{name}.png")
    file, plot = folder / "ablation.json", folder / "ablation.png"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.accuracy.ablation.VALIDATION", 2)
        options = ["ablation", "--data", folder, "--minutes", "0.001", "--json", file, "--plot", plot]
        result = CliRunner().invoke(main, [str(option) for option in options])
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())


def test_every_network_is_trained_and_measured(report):
    rows = report["tables"]["networks"]
    assert [row["network"] for row in rows] == [*GUIDANCE, *STRATEGIES]
    for row in rows:
        assert row["examples"] > 0
        assert 10 < row["psnr"] < 50
        assert ("error" in row) == (row["kind"] == "strategy")


def test_networks_differ_in_one_thing():
    first, *others = (guided(name, inverse=False).to_dict() for name in GUIDANCE)
    for other in others:
        assert other["network"].pop("guidance") != first["network"]["guidance"]
        assert other == {**first, "network": {k: v for k, v in first["network"].items() if k != "guidance"}}
    first, *others = (strategic(shares, inverse=False).to_dict() for shares in STRATEGIES.values())
    for other in others:
        assert other.pop("shares") != first["shares"]
        assert other == {k: v for k, v in first.items() if k != "shares"}
