import click
import pytest
from click.testing import CliRunner

from bench.options import (
    QUALITIES,
    Numbers,
    case_options,
    model_options,
    output_folder,
    report_options,
    restoration_options,
)
from runtime.errors import InvalidArgument
from runtime.options import Options


@click.command()
@click.option("--sizes", type=Numbers(float), default="1,2")
@click.option("--counts", type=Numbers(int))
@click.option("--folder", callback=output_folder)
@model_options
@restoration_options
@case_options(sets=("levin", "lai"), cases="all of them")
@report_options(repeats=3)
def command(**options):
    click.echo(repr(options))


def run(*arguments):
    return CliRunner().invoke(command, arguments)


def test_numbers_come_as_lists():
    assert "'sizes': [1.0, 2.0], 'counts': None" in run().output
    assert "'sizes': [0.25, 16.0], 'counts': [8]" in run("--sizes", "0.25,16", "--counts", "8").output


@pytest.mark.parametrize("text", ["", "a", "1,,2", "0", "-1", "1.5"])
def test_other_numbers_are_refused(text):
    result = run("--counts", text)
    assert result.exit_code == 2
    assert "positive whole numbers" in result.output


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path):
    for option in ("--json", "--plot"):
        for file, why in ((tmp_path / "none" / "r.json", "there is no folder"), (tmp_path, "is a folder")):
            result = run(option, str(file))
            assert result.exit_code == 2
            assert why in " ".join(result.output.split())


def test_a_folder_is_made_before_the_work_and_a_file_refused(tmp_path):
    assert run("--folder", str(tmp_path / "sheets")).exit_code == 0
    assert (tmp_path / "sheets").is_dir()
    assert run("--folder", str(tmp_path / "sheets")).exit_code == 0
    (tmp_path / "file").touch()
    for folder, why in ((tmp_path / "none" / "sheets", "there is no folder"), (tmp_path / "file", "is a file")):
        result = run("--folder", str(folder))
        assert result.exit_code == 2
        assert why in " ".join(result.output.split())


def test_cases_and_quality_are_chosen_from_what_there_is():
    assert "'sets': ('levin', 'lai')" in run().output
    assert "'sets': ('sun',)" in run("--set", "sun").output
    assert "'cases': None, 'jobs': 1" in run().output
    assert "'quality': 'balanced', 'nonblind': None" in run().output
    assert "all of them" in run("--help").output
    for wrong in (("--set", "moon"), ("--cases", "0"), ("--jobs", "0"), ("--quality", "magic")):
        assert run(*wrong).exit_code == 2


def test_the_quality_levels_are_those_of_the_runtime():
    assert [Options(quality=level).quality for level in QUALITIES] == list(QUALITIES)
    with pytest.raises(InvalidArgument) as refused:
        Options(quality="magic")
    assert str(refused.value).endswith(", ".join(QUALITIES))


def test_a_plot_needs_matplotlib_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "matplotlib" in str(run("--plot", str(tmp_path / "p.png")).exception)


def test_repeats_are_at_least_one():
    assert "'repeats': 3" in run().output
    assert run("--repeats", "0").exit_code == 2
