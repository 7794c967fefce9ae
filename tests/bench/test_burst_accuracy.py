import json

import numpy as np
import pytest
from click.testing import CliRunner

from bench.burst_accuracy import BEST, FBA, MEAN, METHODS, NETWORK, affine_fit, bursts, score_burst
from bench.bursts import Burst
from tests.runtime.models import write_burst_bundle


@pytest.fixture(scope="module")
def mean_network(tmp_path_factory):
    """A burst network that gives the mean of the frames."""
    return write_burst_bundle(tmp_path_factory.mktemp("mean"), size=17, core=9).path


@pytest.fixture(scope="module")
def report(mean_network, data_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    arguments = ["--model", mean_network, "--device", "cpu", "--data", data_set, "--set", "synthetic_7",
                 "--json", folder / "r.json", "--plot", folder / "r.svg"]  # fmt: skip
    result = CliRunner().invoke(bursts, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert (folder / "r.svg").stat().st_size > 1000
    return result.output, json.loads((folder / "r.json").read_text())


def test_every_method_is_scored(report):
    output, content = report
    (case,) = content["tables"]["cases"]
    methods = case["methods"]
    assert (case["set"], case["case"], case["frames"]) == ("synthetic_7", "1234", 14)
    assert tuple(methods) == METHODS
    assert all(set(scores) == {"psnr", "ssim", "seconds"} for name, scores in methods.items() if name != BEST)
    assert methods[NETWORK]["psnr"] == pytest.approx(methods[MEAN]["psnr"], abs=0.01)
    assert methods[FBA]["psnr"] > methods[MEAN]["psnr"]
    assert "+0.00 dB over FBA" not in output
    assert content["settings"]["model"]["name"] == "mean-of-frames"


def test_means_are_those_of_the_cases(report):
    _, content = report
    (case,) = content["tables"]["cases"]
    for row in content["tables"]["means"]:
        assert row["cases"] == 1
        assert row["psnr"] == pytest.approx(case["methods"][row["method"]]["psnr"])


def test_an_affine_map_is_forgiven_only_where_the_burst_says_so(scene):
    darker = 0.6 * scene + 0.1
    np.testing.assert_allclose(affine_fit(darker, scene), scene, atol=1e-5)
    assert score_burst(darker, Burst([darker], scene, fit_values=True)).psnr > 60
    assert score_burst(darker, Burst([darker], scene)).psnr < 25


def test_a_model_for_single_photographs_is_refused(bundle, data_set):
    arguments = ["--model", str(bundle.path), "--data", str(data_set), "--set", "synthetic_7", "--device", "cpu"]
    result = CliRunner().invoke(bursts, arguments)
    assert result.exit_code != 0
    assert "cannot deblur a burst" in str(result.exception)
