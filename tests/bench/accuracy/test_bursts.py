import json

import numpy as np
import pytest
from click.testing import CliRunner

from bench.accuracy.bursts import (
    BEST,
    FBA,
    MEAN,
    METHODS,
    NETWORK,
    affine_fit,
    burst_methods,
    bursts,
    score_burst,
    score_colours,
)
from bench.data.bursts import BORDER, Burst, fba_psf_moved
from tests.bench.conftest import write_picture
from tests.support.models import write_burst_bundle


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
    assert "restores one photograph, not a burst" in str(result.exception)


def test_colours_are_compared_under_what_the_burst_forgives(colour_scene):
    assert score_colours(colour_scene, Burst([], colour_scene)) == pytest.approx({"rgb": 100, "chroma": 0}, abs=1e-3)
    darker = 0.6 * colour_scene + 0.1
    assert score_colours(darker, Burst([], colour_scene, fit_values=True))["rgb"] > 60
    assert score_colours(darker, Burst([], colour_scene))["rgb"] < 25
    noisy = colour_scene.copy()
    noisy[::2, :, 0] += 0.02
    noisy[1::2, :, 0] -= 0.02
    found = score_colours(noisy, Burst([], colour_scene))
    squares = np.square(noisy.clip(0, 1) - colour_scene)[BORDER:-BORDER, BORDER:-BORDER]
    assert found["rgb"] == pytest.approx(-10 * np.log10(squares.mean()), abs=0.01)
    assert 0.5 < found["chroma"] < 10


def test_grey_colours_have_no_error_of_their_own(colour_scene):
    grey = np.repeat(colour_scene.mean(axis=2, keepdims=True), 3, axis=2)
    assert score_colours(grey, Burst([], colour_scene))["chroma"] > 10
    assert score_colours(colour_scene[..., 0], Burst([], colour_scene[..., 0])) == {}


def test_smoothing_and_chroma_reach_the_network(mean_network, tmp_path, colour_scene):
    for number in range(2):
        write_picture(tmp_path / "eval" / "fba_psf" / f"REG_{number:03}.jpg", np.roll(colour_scene, number, 1))
    write_picture(tmp_path / "eval" / "fba_psf" / "sharp_000.jpg", colour_scene)
    arguments = ["--model", mean_network, "--device", "cpu", "--data", tmp_path, "--set", "fba_psf",
                 "--smoothing", 0.1, "--stride", 9, "--json", tmp_path / "r.json"]  # fmt: skip
    scores = []
    for chroma in ("own", "fba"):
        result = CliRunner().invoke(bursts, [str(argument) for argument in [*arguments, "--chroma", chroma]])
        assert result.exit_code == 0, result.output
        content = json.loads((tmp_path / "r.json").read_text())
        assert (content["settings"]["smoothing"], content["settings"]["chroma"]) == (0.1, chroma)
        scores.append(content["tables"]["cases"][0]["methods"])
    assert scores[0][FBA]["rgb"] == scores[1][FBA]["rgb"]
    assert scores[0][NETWORK]["chroma"] != scores[1][NETWORK]["chroma"]


@pytest.mark.data
def test_moved_frames_are_aligned_first(mean_network, data_root):
    restore, scores = burst_methods(str(mean_network), "cpu", "fp32", {})[FBA], {}
    for case in fba_psf_moved(data_root):
        burst = case.load()
        part = (slice(100, 400), slice(200, 560))
        small = Burst([np.ascontiguousarray(frame[part]) for frame in burst.frames],
                      np.ascontiguousarray(burst.sharp[part]), True, burst.reference)  # fmt: skip
        scores[case.name] = score_burst(restore(small), small).psnr
    assert scores["moved"] > scores["still"] - 0.3
