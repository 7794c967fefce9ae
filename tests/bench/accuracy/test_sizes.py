import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut, coffee

from bench.__main__ import main
from bench.accuracy.sizes import draw_examples, kernel_error
from export.kaufman.data import KaufmanData, kernel_extents


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name, picture in (("a", astronaut()), ("b", coffee())):
        Image.fromarray(np.ascontiguousarray(picture[:320, :320])).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def rows(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    file, plot = folder / "report.json", folder / "report.png"
    options = ["kernel-sizes", "--photographs", photographs, "--cases", 2, "--device", "cpu", "--json", file,
               "--plot", plot]  # fmt: skip
    result = CliRunner().invoke(main, [str(option) for option in options])
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())["tables"]["classes"]


def test_every_class_is_measured(rows):
    assert [(row["class"], row["extents"]) for row in rows] == [
        ("small", "1 to 13"), ("medium", "15 to 25"), ("large", "27 to 41"),
    ]  # fmt: skip
    for row in rows:
        assert sum(row["told"].values()) == pytest.approx(1)
        assert all(0 < row[key] < 5 for key in ("general", "own", "chosen"))


def test_crops_are_the_same_each_time_and_of_the_extent_that_is_asked_for(photographs):
    config = KaufmanData(crop=64, extent=(15, 25))
    first, second = (draw_examples(str(photographs), config, 3) for _ in range(2))
    assert (first.observed == second.observed).all()
    assert all(15 <= extent <= 25 for extent in kernel_extents(first.kernels).tolist())


def test_errors_are_those_at_the_best_shift():
    truth = np.zeros((9, 9))
    truth[4, 3:6] = 1 / 3
    assert kernel_error(np.roll(truth, (1, 2), (0, 1)), truth) == pytest.approx(0)
    point = np.zeros((9, 9))
    point[4, 4] = 1
    assert kernel_error(point, truth) == pytest.approx(2)


@pytest.mark.parametrize(
    ("count", "message"), [(0, "no photographs there"), (2, "no photograph to validate on has 296")]
)
def test_without_photographs_there_is_nothing_to_measure(count, message, tmp_path):
    for number in range(count):
        Image.fromarray(astronaut()[:100]).save(tmp_path / f"{number}.png")
    result = CliRunner().invoke(main, ["kernel-sizes", "--photographs", str(tmp_path)])
    assert result.exit_code == 1
    assert message in result.output
