import json

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from runtime.options import DECONVOLUTIONS
from tests.bench.conftest import write_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory, colour_scene, data_set):
    data = tmp_path_factory.mktemp("data")
    (data / "eval").mkdir()
    for name in ("levin2009", "lai2016"):
        (data / "eval" / name).symlink_to(data_set / "eval" / name)
    write_picture(data / "eval" / "sharp_cid22_val" / "1.png", colour_scene)
    return data


def _run(folder, *options):
    result = CliRunner().invoke(main, ["known", "--data", str(folder), "--device", "cpu", *options])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    file, plot = (tmp_path_factory.mktemp("report") / name for name in ("known.json", "known.png"))
    _run(folder, "--cases", "1", "--noise", "0.01,0.03", "--json", str(file), "--plot", str(plot))
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())


def test_every_method_restores_every_set(report):
    means = {(row["set"], row["method"]): row for row in report["tables"]["means"]}
    assert list(means) == [
        (name, method) for name in ("levin", "sun, noise 0.01", "sun, noise 0.03", "lai") for method in DECONVOLUTIONS
    ]
    for method in DECONVOLUTIONS:
        gains = [means["sun, noise 0.01", method]["gain"], means["sun, noise 0.03", method]["gain"]]
        assert gains[0] > 2
        assert gains[0] > gains[1]
    for row in means.values():
        assert 0 < row["fastest"] <= row["pace"] <= row["slowest"]


def test_means_are_those_of_the_cases(report):
    for row in report["tables"]["means"]:
        same = ("set", "method")
        cases = [case for case in report["tables"]["cases"] if all(case[key] == row[key] for key in same)]
        assert row["psnr"] == pytest.approx(sum(case["psnr"] for case in cases) / len(cases))


def test_methods_can_be_chosen(folder):
    output = _run(folder, "--cases", "1", "--noise", "0.01", "--method", "wiener")
    assert "wiener" in output
    assert "epll" not in output
