import json
import math

import pytest

from bench import report as report_module
from bench.report import Column, Report, Table, write_plot
from runtime.errors import MissingDependency

SPREAD = {"median": 0.002, "min": 0.001, "max": 0.004, "repeats": 3}


def table(**options):
    rows = [{"name": "short", "time": SPREAD, "deep": {"er value": 1.234}}, {"name": "a longer one", "time": None}]
    columns = Column("name", "name"), Column("ms", "time", ".1f", 1e3), Column("deep", "deep.er value", ".2f")
    return Table("Title", columns, rows, ("a note",), **options)


def report(**tables):
    return Report("test", {"model": {"name": "m", "version": "1"}, "batch": [1, 2], "repeats": 3}, tables)


def test_a_table_prints_aligned_with_medians_and_spreads():
    assert table().text().splitlines() == [
        "Title",
        "",
        "name                     ms  deep",
        "------------  -------------  ----",
        "short         2.0 (1.0-4.0)  1.23",
        "a longer one              -     -",
        "  a note",
    ]


def test_a_report_says_on_what_it_was_measured():
    text = report(one=table()).text()
    for part in (
        "test, 20",
        "machine",
        "cores",
        "load",
        "GPU",
        "numpy",
        "model name m version 1, batch 1 2, repeats 3",
        "a note",
    ):
        assert part in text


def test_json_holds_what_the_table_shows_and_what_it_leaves_out(tmp_path):
    report(one=table(), view=table(in_json=False)).write_json(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    assert set(content) == {"benchmark", "date", "machine", "settings", "tables"}
    assert content["benchmark"] == "test"
    assert content["settings"]["batch"] == [1, 2]
    assert content["tables"] == {"one": table().rows}


def test_a_report_may_be_written_again_as_it_grows(tmp_path):
    growing, file = report(), tmp_path / "r.json"
    growing.write_json(file)
    assert json.loads(file.read_text())["tables"] == {}
    growing.tables["one"] = table()
    growing.write_json(file)
    assert set(json.loads(file.read_text())["tables"]) == {"one"}
    assert list(tmp_path.iterdir()) == [file]


def test_yes_and_no_are_words():
    rows = [{"a": True}, {"a": False}, {"a": None}]
    assert Table("", (Column("a", "a"),), rows).text().splitlines()[-3:] == ["yes", " no", "  -"]


def test_figures_that_are_not_finite_become_null(tmp_path):
    rows = [{"a": math.nan, "b": [math.inf, 1.0]}]
    report(one=Table("", (Column("a", "a"),), rows)).write_json(tmp_path / "r.json")
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text)["tables"]["one"] == [{"a": None, "b": [None, 1.0]}]
    assert "NaN" not in text


def test_a_plot_is_written_in_the_format_of_its_suffix(tmp_path):
    write_plot(tmp_path / "p.svg", lambda figure: figure.subplots().plot([1, 2]))
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_a_plot_without_matplotlib_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="bench"):
        report_module.check_plotting()
