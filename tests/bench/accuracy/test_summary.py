import numpy as np
import pytest

from bench.accuracy.evaluation import BLURRED, TRUE_KERNEL, WHOLE
from bench.accuracy.summary import HARMFUL_GAIN, KEPT_PSNR, make_tables, summarise


def case(name, kind="", gain=1.0, own_truth=False, truth=True, **facts):
    blurred, whole, ideal = (
        {"seconds": 0.0},
        {"seconds": 3.0, "stages": {"network": 1.0, "non-blind": 2.0}, **facts},
        {},
    )
    if truth:
        blurred |= {"psnr": 100.0 if own_truth else 20.0, "ssim": 0.5}
        whole |= {"psnr": 20.0 + gain, "ssim": 0.9}
    methods = {BLURRED: blurred, WHOLE: whole}
    if truth and not own_truth:
        blurred |= {"gain": 0.0, "ratio": 4.0}
        whole |= {"gain": gain, "ratio": 2.0}
        ideal = {"psnr": 25.0, "gain": 5.0, "ssim": 1.0, "ratio": 1.0, "seconds": 0.5}
        methods[TRUE_KERNEL] = ideal
    return {"set": name, "case": f"{name} {gain}", "kind": kind, "megapixels": 0.5, "methods": methods}


def test_a_set_has_a_row_per_method_with_its_means():
    tables = make_tables([case("levin", gain=1.0), case("levin", gain=-0.3, confidence=0.5, unchanged=True)])
    assert set(tables) == {"cases", "levin", "stages"}
    rows = {row["method"]: row for row in tables["levin"].rows}
    assert tuple(rows) == (BLURRED, WHOLE, TRUE_KERNEL)
    whole = rows[WHOLE]
    assert (whole["cases"], whole["worst_gain"], whole["harmed"]) == (2, -0.3, 1)
    assert whole["gain"] == pytest.approx(0.35)
    assert whole["psnr"] == pytest.approx(20.35)
    assert (whole["ratio_mean"], whole["ratio_within_2"]) == (2.0, 1.0)
    assert (whole["confidence"], whole["unchanged"]) == (0.5, 1.0)
    text = tables["levin"].text()
    for heading in ("worst gain", "harmed", "SSIM", "error ratio", "95 %", "max", "<= 2", "<= 3", "<= 5", "seconds"):
        assert heading in text
    assert "worst dB" not in text
    assert "yes" in tables["cases"].text()


def test_kinds_of_a_set_are_also_summed_up_by_themselves():
    tables = make_tables([case("lai", "text", 1.0), case("lai", "people", 2.0), case("lai", "people", 4.0)])
    found = {(row["kind"], row["method"]): row for row in tables["lai by kind"].rows}
    assert found["people", WHOLE]["gain"] == pytest.approx(3)
    assert found["text", WHOLE]["cases"] == 1
    assert len(found) == 6


def test_photographs_that_are_their_own_truth_are_judged_by_the_worst():
    tables = make_tables([case("harmless", gain=gain, own_truth=True) for gain in (80.0, 19.0, 17.0)])
    whole = tables["harmless"].rows[1]
    assert whole["worst_psnr"] == 37
    assert whole["kept"] == pytest.approx(2 / 3)
    assert KEPT_PSNR == 38
    text = tables["harmless"].text()
    assert "worst dB" in text
    assert ">= 38 dB" in text
    assert "gain" not in text
    assert "error ratio" not in text


def test_a_set_without_truth_has_times_and_confidence_alone():
    tables = make_tables([case("real", truth=False, confidence=0.9, unchanged=False)])
    text = tables["real"].text()
    assert all(heading in text for heading in ("confidence", "unchanged", "seconds"))
    assert not any(heading in text for heading in ("dB", "SSIM", "ratio"))


def test_seconds_go_to_stages_that_make_the_whole():
    rows = [case("levin"), case("real", truth=False)]
    # A photograph that was left as it is has no non-blind stage.
    rows.append(case("levin", gain=2.0))
    rows[-1]["methods"][WHOLE]["stages"] = {"network": 3.0}
    levin, real = make_tables(rows)["stages"].rows
    assert levin["stages"] == {"network": 2.0, "non-blind": 1.0}
    assert levin["seconds"] == real["seconds"] == 3.0
    assert levin["megapixels"] == 0.5


def test_without_the_whole_method_there_are_no_stages():
    row = case("levin")
    del row["methods"][WHOLE]
    assert set(make_tables([row])) == {"cases", "levin"}
    assert set(make_tables([])) == {"cases"}


def test_harm_begins_below_its_bound():
    scores = [{"gain": HARMFUL_GAIN, "seconds": 1.0}, {"gain": np.nextafter(HARMFUL_GAIN, -1), "seconds": 2.0}]
    summary = summarise(scores)
    assert summary["harmed"] == 1
    assert summary["seconds"] == 1.5
    assert summary["psnr"] is None
    assert "ratio_mean" not in summary


def test_the_summary_of_nothing_has_no_figures():
    assert {key for key, value in summarise([]).items() if value is not None} == {"cases"}
