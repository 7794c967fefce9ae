import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.accuracy import accuracy
from bench.datasets import levin
from bench.evaluation import BLURRED, METHODS, NEURAL, TRUE_KERNEL, WHOLE, restore_sample, score_results
from runtime import Deblurrer


def run(*arguments):
    return CliRunner().invoke(accuracy, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def report(bundle, data_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    files = {option: folder / f"r.{suffix}" for option, suffix in (("json", "json"), ("plot", "svg"), ("sheet", "png"))}
    outputs = [part for option, file in files.items() for part in (f"--{option}", file)]
    result = run("--model", bundle.path, "--device", "cpu", "--data", data_set, *outputs)
    assert result.exit_code == 0, result.output
    return result, files


def test_every_case_of_every_set_is_scored_by_every_method(report):
    _, files = report
    tables = json.loads(files["json"].read_text())["tables"]
    assert [(row["set"], row["case"]) for row in tables["cases"]] == [
        ("levin", "im01_ker01"), ("levin", "im01_ker02"), ("sun", "1234_ker01"), ("sun", "1234_ker02"),
    ]  # fmt: skip
    for row in tables["cases"]:
        assert tuple(row["methods"]) == METHODS
        scores = row["methods"]
        assert set(scores[WHOLE]) == {"psnr", "gain", "ssim", "ratio", "seconds"}
        assert scores[TRUE_KERNEL]["psnr"] > scores[BLURRED]["psnr"] + 1
        assert abs(scores[NEURAL]["gain"]) < 0.05


def test_the_summary_is_the_mean_of_the_cases(report):
    _, files = report
    tables = json.loads(files["json"].read_text())["tables"]
    for name in ("levin", "sun"):
        cases = [row["methods"] for row in tables["cases"] if row["set"] == name]
        for row in tables[name]:
            mine = [case[row["method"]] for case in cases]
            assert row["cases"] == len(mine) == 2
            for key in ("psnr", "gain", "ssim", "seconds"):
                assert row[key] == pytest.approx(np.mean([values[key] for values in mine]))
            assert row["worst_gain"] == min(values["gain"] for values in mine)
            assert row["ratio_max"] == max(values["ratio"] for values in mine)


def test_tables_plot_and_sheet_are_there(report):
    result, files = report
    for part in ("levin: means of 2 cases", "sun: means of 2 cases", "worst gain", "<= 2", "sun 2 of 2: 1234_ker02"):
        assert part in result.output
    assert "<svg" in files["plot"].read_text()
    assert Image.open(files["sheet"]).width > 4 * 256


def test_an_earlier_report_is_compared_with(report, bundle, data_set, tmp_path):
    _, files = report
    old = json.loads(files["json"].read_text())
    old["tables"]["cases"][0]["methods"][WHOLE]["psnr"] -= 2
    (tmp_path / "old.json").write_text(json.dumps(old))
    result = run("--model", bundle.path, "--device", "cpu", "--data", data_set, "--set", "levin",
                 "--compare", tmp_path / "old.json", "--json", tmp_path / "new.json")  # fmt: skip
    assert result.exit_code == 0, result.output
    tables = json.loads((tmp_path / "new.json").read_text())["tables"]
    assert set(tables) == {"cases", "levin", "changes", "changed cases"}
    (changed,) = tables["changed cases"]
    assert (changed["case"], changed["method"]) == ("im01_ker01", WHOLE)
    assert changed["change"] == pytest.approx(2, abs=0.01)


def test_few_cases_can_be_chosen(bundle, data_set, tmp_path):
    result = run(
        "--model", bundle.path, "--data", data_set, "--set", "sun", "--cases", "1", "--json", tmp_path / "r.json"
    )
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "r.json").read_text())
    assert len(content["tables"]["cases"]) == 1
    assert content["settings"]["cases"] == {"sun": 1}
    assert str(data_set) not in json.dumps(content)
    assert str(bundle.path) not in json.dumps(content)


def test_without_data_nothing_is_measured(bundle, monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    result = run("--model", bundle.path)
    assert result.exit_code == 2
    assert "--data" in result.output
    assert "no files" in run("--model", bundle.path, "--data", tmp_path).output


@pytest.mark.data
def test_the_true_kernel_restores_a_real_shake_and_its_mirror_image_does_not(bundle, data_root):
    sample = levin(data_root)[4].load()
    deblurrer = Deblurrer(model=bundle, device="cpu")
    right = score_results(restore_sample(deblurrer, sample, [TRUE_KERNEL], quality="fast"), sample)
    mirrored = type(sample)(sample.observed, sample.sharp, sample.kernel[::-1, ::-1].copy(), sample.border)
    wrong = score_results(restore_sample(deblurrer, mirrored, [TRUE_KERNEL], quality="fast"), mirrored)
    assert right[TRUE_KERNEL]["gain"] > 4
    assert wrong[TRUE_KERNEL]["gain"] < 0
