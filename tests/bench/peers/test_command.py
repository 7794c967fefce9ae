import json

import pytest
from click.testing import CliRunner

from bench.peers import command as peers_module
from bench.peers.command import peers

FIGURE = {"median": 2.0, "min": 1.0, "max": 3.0, "repeats": 2}


def test_all_contests_are_reported(bundle, monkeypatch, tmp_path):
    asked = []

    def run(function, arguments):
        asked.append((function, arguments))
        row = {"precision": "fp32", "batch": 8}
        ran = {"seconds": FIGURE, "seconds_per_patch": 1e-3, "megapixels_per_second": 0.5, "time_over_runtime": 1.0}
        return [{**row, "by": "this runtime", **ran}, {**row, "by": "MONAI", "problem": "not installed"}], 1

    monkeypatch.setattr(peers_module, "run_isolated", run)
    arguments = ("--model", str(bundle.path), "--device", "cpu", "--stride", "4", "--megapixels", "0.5",
                 "--json", f"{tmp_path}/p.json", "--plot", f"{tmp_path}/p.png")  # fmt: skip
    result = CliRunner().invoke(peers, arguments)
    assert result.exit_code == 0, result.output
    wanted = [f"bench.peers.contest:measure_{name}" for name in ("patches", "steps", "compiled")]
    assert [function for function, _ in asked] == wanted
    assert all(given["stride"] == 4 and given["megapixels"] == 0.5 for _, given in asked)
    content = json.loads((tmp_path / "p.json").read_text())
    assert [row["by"] for row in content["tables"]["patches"]] == ["this runtime", "MONAI"]
    assert content["settings"]["model"]["name"] == "identity-filters"
    assert str(bundle.path) not in json.dumps(content)
    assert "not installed" in result.output
    assert (tmp_path / "p.png").stat().st_size > 1000


@pytest.mark.parametrize("wrong", [("--stride", "0"), ("--megapixels", "0"), ("--batch", "-1"), ("--repeats", "0")])
def test_sizes_out_of_range_are_refused(wrong):
    assert CliRunner().invoke(peers, ("--device", "cpu", *wrong)).exit_code == 2
