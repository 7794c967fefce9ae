import json

import pytest
from click.testing import CliRunner
from PIL import Image

from bench.accuracy import command as accuracy_module
from bench.accuracy.command import accuracy
from bench.accuracy.evaluation import (
    BLURRED,
    METHODS,
    NEURAL,
    ONCE,
    SCALED,
    SCALED_ONCE,
    TRUE_KERNEL,
    UNAIDED,
    WHOLE,
    restore_sample,
    score_results,
)
from bench.accuracy.sheet import WIDTH
from bench.data import datasets
from bench.data.datasets import lai, levin
from runtime import Deblurrer

SETS = ("lai", "lai_real")


def run(*arguments):
    return CliRunner().invoke(accuracy, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def report(bundle, data_set, tmp_path_factory):
    """One case of a set whose truth is known, and of one whose truth is not."""
    folder = tmp_path_factory.mktemp("report")
    files = {"json": folder / "r.json", "plot": folder / "r.svg", "sheet": folder / "sheets"}
    outputs = [part for option, file in files.items() for part in (f"--{option}", file)]
    sets = [part for name in SETS for part in ("--set", name)]
    result = run("--model", bundle.path, "--device", "cpu", "--data", data_set, "--quality", "fast", "--cases", 1,
                 *sets, *outputs)  # fmt: skip
    assert result.exit_code == 0, result.output
    return result, files


def test_every_case_of_every_set_is_scored_by_every_method(report):
    _, files = report
    content = json.loads(files["json"].read_text())
    rows = {row["set"]: row["methods"] for row in content["tables"]["cases"]}
    assert tuple(rows) == SETS
    assert content["settings"]["cases"] == dict.fromkeys(SETS, 1)
    assert content["settings"]["quality"] == "fast"
    known, unknown = rows["lai"], rows["lai_real"]
    assert tuple(known) == METHODS
    facts = {"seconds", "stages", "confidence", "unchanged"}
    assert set(known[WHOLE]) == {"psnr", "gain", "ssim", "ratio", *facts}
    assert known[TRUE_KERNEL]["psnr"] > known[BLURRED]["psnr"] + 1
    assert abs(known[NEURAL]["gain"]) < 0.05
    assert tuple(unknown) == METHODS[:-1]
    assert set(unknown[WHOLE]) == facts


def test_the_summary_is_the_mean_of_the_cases(report):
    _, files = report
    tables = json.loads(files["json"].read_text())["tables"]
    assert set(tables) == {"cases", "stages", *SETS}
    (case,) = (row["methods"] for row in tables["cases"] if row["set"] == "lai")
    for row in tables["lai"]:
        scores = case[row["method"]]
        assert row["cases"] == 1
        assert all(row[key] == pytest.approx(scores[key]) for key in ("psnr", "gain", "ssim", "seconds"))
        assert (row["worst_gain"], row["ratio_max"]) == (scores["gain"], scores["ratio"])


def test_tables_plot_and_sheets_are_there(report):
    result, files = report
    parts = ("lai: means of 1 cases", "worst gain", "<= 2", "2 of 2: lai_real", "kernel estimate (s)", "confidence")
    for part in parts:
        assert part in result.output
    assert "<svg" in files["plot"].read_text()
    widths = {file.stem: Image.open(file).width // WIDTH for file in files["sheet"].iterdir()}
    assert widths == {"lai": 3, "lai_real": 2}


def test_an_earlier_report_is_compared_with(report, bundle, data_set, tmp_path):
    _, files = report
    old = json.loads(files["json"].read_text())
    old["tables"]["cases"][0]["methods"][TRUE_KERNEL]["psnr"] -= 2
    (tmp_path / "old.json").write_text(json.dumps(old))
    again = (
        "--model", bundle.path, "--device", "cpu", "--data", data_set, "--set", "lai", "--only", "true",
        "--quality", "fast",
    )  # fmt: skip
    result = run(*again, "--cases", 1, "--compare", tmp_path / "old.json", "--json", tmp_path / "new.json")
    assert result.exit_code == 0, result.output
    tables = json.loads((tmp_path / "new.json").read_text())["tables"]
    assert set(tables) == {"cases", "lai", "changes", "changed cases"}
    (changed,) = tables["changed cases"]
    assert (changed["case"], changed["method"]) == (old["tables"]["cases"][0]["case"], TRUE_KERNEL)
    assert changed["change"] == pytest.approx(2, abs=0.01)


@pytest.fixture
def measured(monkeypatch):
    """Stand-ins for the measurements, which are tested on their own; what they were asked for."""
    asked = []

    def cases(tasks, setup, processes):
        asked.append((tasks, setup, processes))
        for task in tasks:
            methods = {BLURRED: {"psnr": 20.0, "seconds": 0.0, "ssim": 0.5, "gain": 0.0}}
            yield {"set": task.set, "case": task.case.name, "kind": "", "megapixels": 1.0, "methods": methods}, None

    monkeypatch.setattr(accuracy_module, "measure_cases", cases)
    return asked


@pytest.mark.parametrize(
    ("only", "methods"),
    [
        ((), METHODS),
        (("whole",), (BLURRED, NEURAL, WHOLE)),
        (("true", "unaided"), (BLURRED, NEURAL, UNAIDED, TRUE_KERNEL)),
        (("once",), (BLURRED, NEURAL, ONCE)),
        (("whole-scaled", "once-scaled"), (BLURRED, NEURAL, SCALED_ONCE, SCALED)),
    ],
)
def test_rows_quality_and_jobs_are_chosen(measured, bundle, data_set, only, methods):
    result = run("--model", bundle.path, "--data", data_set, "--quality", "best", "--nonblind", "wiener", "--stride", 2,
                 "--jobs", 2, *(part for row in only for part in ("--only", row)))  # fmt: skip
    assert result.exit_code == 0, result.output
    ((tasks, setup, processes),) = measured
    assert set(setup.methods) == set(methods)
    assert (setup.quality, setup.nonblind, setup.stride, processes) == ("best", "wiener", 2, 2)
    assert not any(task.drawn for task in tasks)
    # Without a choice, every set.
    assert {task.set for task in tasks} == set(datasets.SETS)


def test_few_cases_can_be_chosen(measured, bundle, data_set, tmp_path):
    result = run(
        "--model", bundle.path, "--data", data_set, "--set", "sun", "--cases", 1, "--json", tmp_path / "r.json"
    )
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "r.json").read_text())
    assert len(content["tables"]["cases"]) == 1
    assert content["settings"]["cases"] == {"sun": 1}
    assert str(data_set) not in json.dumps(content)
    assert str(bundle.path) not in json.dumps(content)
    assert "2 of 2" in run("--model", bundle.path, "--data", data_set, "--set", "sun", "--quick").output


def test_a_run_cut_short_leaves_what_it_has_measured(measured, bundle, data_set, tmp_path, monkeypatch):
    whole = accuracy_module.measure_cases

    def cut_short(tasks, setup, processes):
        yield from whole(tasks[:1], setup, processes)
        raise KeyboardInterrupt

    monkeypatch.setattr(accuracy_module, "measure_cases", cut_short)
    result = run("--model", bundle.path, "--data", data_set, "--set", "levin", "--json", tmp_path / "r.json")
    assert result.exit_code != 0
    tables = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert [row["case"] for row in tables["cases"]] == ["im01_ker01"]
    assert tables["levin"][0]["cases"] == 1


def test_a_set_without_truth_leaves_nothing_to_plot(bundle, data_set, tmp_path, monkeypatch):
    def untold(tasks, setup, processes):
        for task in tasks:
            methods = {BLURRED: {"seconds": 0.0}}
            yield {"set": task.set, "case": task.case.name, "kind": "", "megapixels": 1.0, "methods": methods}, None

    monkeypatch.setattr(accuracy_module, "measure_cases", untold)
    result = run("--model", bundle.path, "--data", data_set, "--set", "lai_real", "--plot", tmp_path / "r.png")
    assert result.exit_code == 0, result.output


def test_without_data_nothing_is_measured(bundle, monkeypatch, tmp_path):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    result = run("--model", bundle.path)
    assert result.exit_code == 2
    assert "--data" in result.output
    assert "no files" in run("--model", bundle.path, "--data", tmp_path).output


@pytest.mark.parametrize("wrong", [("--only", "magic"), ("--set", "moon"), ("--quality", "magic"), ("--jobs", "0")])
def test_bad_options_are_refused(wrong, bundle, data_set):
    assert run("--model", bundle.path, "--data", data_set, *wrong).exit_code == 2


@pytest.mark.data
@pytest.mark.parametrize(("load", "number", "gain"), [(levin, 4, 4), (lai, 3, 5)])
def test_the_true_kernel_restores_a_real_case_and_its_mirror_image_does_not(load, number, gain, bundle, data_root):
    sample = load(data_root)[number].load()
    deblurrer = Deblurrer(model=bundle, device="cpu")
    right = score_results(restore_sample(deblurrer, sample, [TRUE_KERNEL], quality="fast"), sample)
    mirrored = type(sample)(sample.observed, sample.sharp, sample.kernel[::-1, ::-1].copy(), sample.border)
    wrong = score_results(restore_sample(deblurrer, mirrored, [TRUE_KERNEL], quality="fast"), mirrored)
    assert right[TRUE_KERNEL]["gain"] > gain
    assert wrong[TRUE_KERNEL]["gain"] < 0
