import json

import pytest
from click.testing import CliRunner

from bench.speed.packed import measure_packed, packed
from runtime.errors import InvalidModel
from runtime.packing import Packing, pack_network
from tests.support.networks import write_network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return str(pack_network(write_network(folder / "n.onnx", "mean"), folder / "mean", Packing(patch=48)).bundle.path)


def test_the_engine_is_timed_beside_the_bare_session(model):
    row = measure_packed(model, megapixels=0.01, repeats=3)
    assert (row["name"], row["patch"], row["core"], row["stride"]) == ("mean", 48, 44, 39)
    assert row["patches"] > 4
    for kind in ("seconds", "processor_seconds"):
        assert list(row[kind]) == ["bare", "engine", "deblur"]
        assert all(0 < times["min"] <= times["median"] and times["repeats"] == 3 for times in row[kind].values())
    assert row["over_bare"]["min"] <= row["over_bare"]["median"] <= row["over_bare"]["max"]
    least = {each: row["processor_seconds"][each]["min"] for each in ("engine", "bare")}
    assert row["fastest_over_bare"] == pytest.approx(least["engine"] / least["bare"])
    assert 0 < row["around_network"] < 1


def test_it_is_reported(model, tmp_path):
    report = tmp_path / "report.json"
    plot = tmp_path / "plot.png"
    arguments = ["--model", model, "--megapixels", "0.01,0.02", "--repeats", "1", "--json", report, "--plot", plot]
    done = CliRunner().invoke(packed, [str(each) for each in arguments], catch_exceptions=False)
    assert "engine / bare" in done.output
    written = json.loads(report.read_text())
    assert written["benchmark"] == "packed"
    rows = written["tables"]["packed"]
    assert [row["megapixels"] for row in rows] == [0.01, 0.02]
    assert all(row["peak_bytes"] > 0 for row in rows)
    assert plot.stat().st_size > 0


def test_networks_of_random_weights_are_made_where_none_is_given(tmp_path):
    report = tmp_path / "report.json"
    arguments = ["--width", "2", "--layers", "2", "--megapixels", "0.05", "--repeats", "1", "--json", str(report)]
    CliRunner().invoke(packed, arguments, catch_exceptions=False)
    (row,) = json.loads(report.read_text())["tables"]["packed"]
    assert (row["name"], row["patch"]) == ("2 convolutions of 2", 256)


def test_a_model_of_another_method_is_refused():
    with pytest.raises(InvalidModel, match="give a bundle that deblur pack has written"):
        measure_packed("chakrabarti", megapixels=0.01, repeats=1)
