import json

import pytest
from click.testing import CliRunner
from skimage import data

from bench.accuracy import decisions as module
from bench.accuracy.attempts import KINDS
from bench.accuracy.decisions import THRESHOLDS, decisions, harm_row, make_tables, threshold_rows
from runtime.decisions import thresholds
from runtime.decisions.thresholds import Logistic
from runtime.restoration.uniformity import Uniformity
from tests.bench.conftest import write_picture


def case(kind="uniform", number=0, kernel=None, motion=None, factors=(2.0, 1.0, 0.5), variation=0.5, width_ratio=0.5):
    """A scene on which every decision speaks for the restoration, but for what is given."""
    made = {
        f"{factor}": {"predicted": 2.0, "gain": gain, "kept": True}
        for factor, gain in zip((4, 8, 16), factors, strict=True)
    }
    return {
        "kind": kind, "number": number, "psnr": 25.0,
        "kernel": {"width": 3.0, "agreement": 0.9, "log_error": -2.0, "unevenness": 1.1, "sparsity_ratio": 0.6,
                   "probabilities": {}, "confidence": 0.9, "needed": 3.0,
                   "uniformity": {"variation": variation, "width_ratio": width_ratio,
                                  "contradicted": Uniformity(variation, width_ratio).contradicted},
                   "predicted": 5.0, "gain": 4.0, "kept": True} | (kernel or {}),
        "motion": {"reach": 5.0, "relative_error": 0.2, "doubt": None, "misfit_ratio": 1.0, "factors": made,
                   "factor": 4.0, "predicted": 2.0, "gain": factors[0], "kept": True} | (motion or {}),
    }  # fmt: skip


def sides(cases, name):
    return {row["side"]: row for row in threshold_rows(cases) if row["threshold"] == name}


@pytest.mark.parametrize(
    ("name", "part", "key", "passing", "refused"),
    [
        ("KERNEL_WIDTH", "kernel", "width", 1.4, 1.2),
        ("AGREEMENT", "kernel", "agreement", 0.8, 0.7),
        ("PREDICTED_LOG_ERROR", "kernel", "log_error", -0.6, -0.4),
        ("UNEVENNESS", "kernel", "unevenness", 1.5, 1.7),
        ("SPARSITY_RATIO", "kernel", "sparsity_ratio", 0.8, 0.9),
        ("CONFIDENT", "kernel", "confidence", 0.6, 0.4),
        ("PREDICTED_GAIN", "kernel", "predicted", 3.1, 2.9),
        ("LEAST_MOTION", "motion", "reach", 1.3, 1.1),
        ("MOTION_ERROR", "motion", "relative_error", 0.3, 0.4),
        ("MOTION_GAIN", "motion", "predicted", 1.1, 0.9),
    ],
)
def test_cases_lie_on_the_side_on_which_the_runtime_has_them(name, part, key, passing, refused):
    cases = [
        case(**{part: {key: value, "gain": gain}}) for value, gain in ((passing, 3.0), (passing, 1.0), (refused, -1.0))
    ]
    found = sides(cases, name)
    assert (found["passes"]["cases"], found["passes"]["mean"], found["passes"]["worst"]) == (2, 2.0, 1.0)
    assert (found["refused"]["cases"], found["refused"]["worst"], found["refused"]["best"]) == (1, -1.0, -1.0)


def test_a_threshold_is_measured_where_it_decides():
    cases = [
        case(),
        case(kernel={"confidence": 0.1}, motion={"doubt": "motion-uncertain", "relative_error": 0.9}),
        case(variation=2.0, width_ratio=3.0, motion={"doubt": "no-motion", "reach": 0.3}),
        case(width_ratio=3.0, motion={"doubt": "no-motion"}),
        case(motion={"misfit_ratio": 1.3}),
    ]
    counts = {row["threshold"]: 0 for row in threshold_rows(cases)}
    for row in threshold_rows(cases):
        counts[row["threshold"]] += row["cases"]
    assert counts["KERNEL_WIDTH"] == counts["LEAST_MOTION"] == 5
    assert counts["MOTION_VARIATION"] == 4
    assert [counts[name] for name in ("PREDICTED_GAIN", "VARYING_MOTION_GAIN", "SHORT_MOTION_GAIN")] == [2, 1, 1]
    assert counts["MOTION_ERROR"] == 4
    assert counts["MOTION_GAIN"] == counts["MOTION_EXPLAINS"] == 2
    assert counts["MOTION_EXPLAINS_PARTLY"] == 1


def test_how_well_a_field_explains_is_judged_at_its_own_noise_factor():
    cases = [case(motion={"misfit_ratio": ratio}) for ratio in (1.1, 1.3, 1.6)]
    explains, partly = (sides(cases, name) for name in ("MOTION_EXPLAINS", "MOTION_EXPLAINS_PARTLY"))
    assert [explains[side]["mean"] for side in ("passes", "refused")] == [2.0, 2.0]
    assert [partly[side]["mean"] for side in ("passes", "refused")] == [1.0, 1.0]
    rows = make_tables(cases)["noise factors"].rows
    assert [(row["explains"], row["factor"], row["mean"]) for row in rows] == [
        (explained, factor, gain)
        for explained in ("fully", "partly", "poorly")
        for factor, gain in ((4.0, 2.0), (8.0, 1.0), (16.0, 0.5))
    ]


def test_a_scene_too_small_for_the_motion_network_does_not_count_there():
    assert [row["cases"] for row in sides([case(kernel={"uniformity": None})], "MOTION_VARIATION").values()] == [0, 0]


def test_harm_and_missed_gains_are_counted():
    gains = ((True, 3.0), (True, -0.1), (True, -0.3), (False, 0.9), (False, 1.1), (False, -2.0))
    row = harm_row([case(kernel={"kept": kept, "gain": gain}) for kept, gain in gains], "kernel")
    assert row == {"restorations": "kernel", "kept": 3, "harmed": 1, "worst": -0.3,
                   "refused": 3, "missed": 1, "best": 1.1}  # fmt: skip
    assert harm_row([case()], "motion")["best"] is None


def test_predicted_gains_are_banded():
    cases = [case(kernel={"predicted": predicted, "gain": gain}) for predicted, gain in ((1.2, 0.5), (1.4, -0.5))]
    cases += [case(kernel={"predicted": 7.0, "gain": 6.0}), case(kernel={"predicted": -0.1, "gain": -1.0})]
    rows = [row for row in make_tables(cases)["predicted gain"].rows if row["restorations"] == "kernel, believed"]
    assert [(row["band"], row["cases"], row["mean"], row["positive"]) for row in rows] == [
        ("under 0", 1, -1.0, 0.0), ("1 to 1.5", 2, 0.0, 0.5), ("over 6", 1, 6.0, 1.0)]  # fmt: skip


def test_every_logistic_threshold_of_a_decision_is_measured():
    logistic = {name for name, value in vars(thresholds).items() if isinstance(value, Logistic)}
    # Its scenes are blurred as stored, so that nothing is restored as light, and few have lights.
    assert logistic - {"FULL_REPAIR_GAIN", "LIGHT_GAIN", "LIT_LOG_ERROR"} <= {
        threshold.name for threshold in THRESHOLDS
    }


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    write_picture(folder / "camera.png", data.camera()[:300, :400] / 255)
    return folder


def run(*arguments):
    return CliRunner().invoke(decisions, [str(argument) for argument in arguments])


def test_the_report_has_all_tables_and_no_path(monkeypatch, photographs, tmp_path):
    asked = []

    def measure_scene(task, setup):
        asked.append((*task, setup.size, setup.quality))
        return case(*task)

    monkeypatch.setattr(module, "measure_scene", measure_scene)
    file, plot = tmp_path / "d.json", tmp_path / "d.svg"
    result = run(
        "--data", photographs, "--cases", 2, "--size", 256, "--quality", "best", "--json", file, "--plot", plot
    )
    assert result.exit_code == 0, result.output
    assert asked == [(kind, number, 256, "best") for kind in KINDS for number in range(2)]
    content = json.loads(file.read_text())
    assert set(content["tables"]) == {"cases", "thresholds", "predicted gain", "noise factors", "no harm"}
    assert len(content["tables"]["cases"]) == 2 * len(KINDS)
    assert content["settings"] == {
        "photographs": 1, "cases": 2, "size": 256, "quality": "best", "device": "cpu", "jobs": 1,
    }  # fmt: skip
    assert str(photographs) not in file.read_text()
    assert all(title in result.output for title in ("One kernel", "Motion field", "Thresholds", "No harm"))
    assert "<svg" in plot.read_text()


def test_one_small_run_for_real(monkeypatch, photographs, tmp_path):
    monkeypatch.setattr(module, "KINDS", ("uniform",))
    result = run("--data", photographs, "--cases", 1, "--size", 128, "--json", tmp_path / "d.json")
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "d.json").read_text())["tables"]["cases"]
    assert row["kind"] == "uniform"
    assert row["kernel"]["predicted"] is not None


def test_bad_options_are_refused(photographs, tmp_path):
    for wrong in ((), ("--data", tmp_path / "nowhere"), ("--data", photographs, "--size", 64),
                  ("--data", photographs, "--cases", 0), ("--data", photographs, "--quality", "magic")):  # fmt: skip
        assert run(*wrong).exit_code == 2
    assert "no network must have been trained on" in " ".join(run("--help").output.split())
