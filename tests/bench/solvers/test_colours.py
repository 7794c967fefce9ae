import json

import pytest
from click.testing import CliRunner

from bench.__main__ import main


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    file, plot = (tmp_path_factory.mktemp("report") / name for name in ("colours.json", "colours.png"))
    options = ["--qualities", "40,90", "--side", "96", "--device", "cpu", "--json", str(file), "--plot", str(plot)]
    result = CliRunner().invoke(main, ["colours", *options])
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())


def test_every_photograph_is_stored_in_every_way(report):
    means = report["tables"]["means"]
    assert [(row["blurred"], row["format"], row["stored"]) for row in means] == [
        (blurred, form, stored)
        for blurred in ("plain", "turn", "light")
        for form in ("JPEG", "WEBP")
        for stored in (40, 90)
    ]
    assert {row["differences"] for row in means} == {10}


def test_means_are_those_of_the_cases(report):
    for row in report["tables"]["means"]:
        same = ("blurred", "format", "stored")
        cases = [case for case in report["tables"]["cases"] if all(case[key] == row[key] for key in same)]
        gains = [case["gain"] for case in cases if case["plane"] != "Y"]
        luma = [case["gain"] for case in cases if case["plane"] == "Y"]
        assert len(luma) == 5
        assert row["luma"] == pytest.approx(sum(luma) / len(luma))
        assert row["least_luma"] == min(luma)
        assert row["gain"] == pytest.approx(sum(gains) / len(gains))
        assert row["least"] == min(gains)
        assert row["worse"] == sum(gain < -0.1 for gain in gains)


def test_the_better_a_file_the_more_is_gained(report):
    gains = {(row["blurred"], row["format"], row["stored"]): row["gain"] for row in report["tables"]["means"]}
    for blurred in ("plain", "turn", "light"):
        assert gains[blurred, "JPEG", 90] > gains[blurred, "JPEG", 40]
