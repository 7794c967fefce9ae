import json

import click
import pytest

from bench.accuracy.comparison import compare, read_cases


def case(name, **psnr):
    return {"set": "levin", "case": name, "methods": {method: {"psnr": value} for method, value in psnr.items()}}


BEFORE = [case("a", whole=20.0, other=1.0), case("b", whole=25.0, other=1.0), case("gone", whole=1.0)]
AFTER = [case("a", whole=21.0, other=1.01), case("b", whole=24.0, other=1.0), case("new", whole=1.0)]


def test_what_got_better_and_worse_is_said_case_by_case():
    tables = compare(BEFORE, AFTER)
    changes = {row["method"]: row for row in tables["changes"].rows}
    assert changes["whole"] == {
        "set": "levin", "method": "whole", "cases": 2, "better": 1, "worse": 1, "mean_change": 0.0,
    }  # fmt: skip
    assert (changes["other"]["better"], changes["other"]["worse"]) == (0, 0)
    assert [(row["case"], row["change"]) for row in tables["changed cases"].rows] == [("b", -1.0), ("a", 1.0)]
    text = "\n".join(table.text() for table in tables.values())
    assert "+1.00" in text
    assert "new" not in text


def test_cases_without_a_truth_are_left_out():
    untold = {"set": "real", "case": "a", "methods": {"whole": {"seconds": 1.0}}}
    tables = compare([*BEFORE, untold], [*AFTER, untold])
    assert {row["set"] for row in tables["changes"].rows} == {"levin"}


def test_reports_with_nothing_in_common_have_no_changes():
    assert compare(BEFORE[:1], AFTER[1:])["changes"].rows == []


def test_cases_are_read_from_an_accuracy_report_alone(tmp_path):
    file = tmp_path / "r.json"
    file.write_text(json.dumps({"benchmark": "accuracy", "tables": {"cases": BEFORE}}))
    assert read_cases(file) == BEFORE
    for content in ("no json", "[]", '{"benchmark": "kernels", "tables": {"cases": []}}', '{"benchmark": "accuracy"}'):
        file.write_text(content)
        with pytest.raises(click.UsageError, match="accuracy benchmark"):
            read_cases(file)
