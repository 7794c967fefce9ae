import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut, coffee

from bench.__main__ import main
from bench.accuracy.quotients import draw_pictures, kernel_error
from runtime.estimation.quotients import KernelNetworks
from runtime.inference.bundle import load_model
from runtime.inference.devices import CPU


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name, picture in (("a", astronaut()), ("b", coffee())):
        Image.fromarray(np.ascontiguousarray(picture[:400, :400])).save(folder / f"{name}.png")
    return folder


def test_a_kernel_has_no_error_wherever_it_lies():
    kernel = np.random.default_rng(0).random((5, 5))
    kernel /= kernel.sum()
    moved = np.pad(kernel, ((3, 1), (0, 4)))
    assert kernel_error(moved, kernel) == pytest.approx(0, abs=1e-6)
    assert kernel_error(np.full((5, 5), 1 / 25), kernel) > 0.1


@pytest.mark.parametrize(("content", "noise"), [("any", 0.01), ("text", 0.01), ("landscape", 0.05)])
def test_pictures_are_blurred_by_their_kernel(photographs, content, noise):
    networks = KernelNetworks(load_model("schuler"), device=CPU)
    for picture in draw_pictures(str(photographs), content, noise, networks, 2):
        sample = picture.sample
        assert sample.observed.shape == sample.sharp.shape == (256, 256)
        assert sample.kernel.shape == (picture.support, picture.support)
        assert sample.kernel.sum() == pytest.approx(1, abs=1e-4)
        assert np.std(sample.observed - sample.sharp) > noise


@pytest.mark.parametrize(
    ("count", "message"),
    [(0, "no photographs there"), (1, "at least two photographs"), (2, "273 px a side; give larger")],
)
def test_without_photographs_that_can_be_used_the_mend_is_named(tmp_path, data_set, count, message):
    for number in range(count):
        Image.fromarray(np.ascontiguousarray(astronaut()[:272])).save(tmp_path / f"{number}.png")
    result = CliRunner().invoke(main, ["schuler", "--photographs", str(tmp_path), "--data", str(data_set)])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert message in result.output


def test_the_report_has_every_stage_size_and_content(photographs, data_set, tmp_path):
    file, plot = tmp_path / "report.json", tmp_path / "report.png"
    options = [
        "schuler",
        "--photographs",
        photographs,
        "--data",
        data_set,
        "--cases",
        4,
        "--json",
        file,
        "--plot",
        plot,
    ]
    result = CliRunner().invoke(main, [str(option) for option in options])
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    tables = json.loads(file.read_text())["tables"]
    assert {(row["support"], row["stage"]) for row in tables["stages"]} == {
        (support, stage) for support in (5, 7, 11, 17) for stage in (1, 2, 3)
    }
    assert [row["support"] for row in tables["scales"]] == [5, 7, 11, 17]
    assert {row["set"] for row in tables["sizes"]} == {"levin", "sun"}
    assert [(row["content"], row["noise"]) for row in tables["content"]] == [
        ("any", 0.01), ("text", 0.01), ("landscape", 0.01), ("any", 0.05)
    ]  # fmt: skip
    for row in tables["content"]:
        assert 0 < row["specific error"] < 2
        assert row["true"] > row["specific"] - 1
