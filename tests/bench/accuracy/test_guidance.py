import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage.data import astronaut, coffee

from bench.__main__ import main
from bench.accuracy import guidance


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name, picture in (("a", astronaut()), ("b", coffee())):
        Image.fromarray(np.ascontiguousarray(picture[:200, :200])).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def report(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    file, plot = folder / "report.json", folder / "report.png"
    options = ["kaufman", "--photographs", photographs, "--steps", 2, "--json", file, "--plot", plot]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guidance, "_VALIDATION", 8)
        result = CliRunner().invoke(main, [str(option) for option in options])
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())


def test_every_form_of_guidance_and_order_of_training_is_measured(report):
    rows = report["tables"]["variants"]
    assert [row["configuration"] for row in rows] == [
        *guidance.GUIDANCE.values(), "both, and inverses", "each alone", "each alone, then both", "both from the start",
    ]  # fmt: skip
    assert [row["steps"] for row in rows] == [2, 2, 2, 2, 2, 4, 6, 6]
    assert [row["group"] for row in rows] == ["true kernel"] * 5 + ["pair"] * 3


def test_all_are_measured_on_the_same_crops(report):
    rows = report["tables"]["variants"]
    assert len({row["blurred"] for row in rows}) == 1
    assert all(10 < row["psnr"] < 50 for row in rows)
    assert ["kernel" in row for row in rows] == [False] * 5 + [True] * 3


@pytest.mark.parametrize(
    ("count", "message"), [(0, "no photographs there"), (1, "at least two photographs"), (2, "give larger ones")]
)
def test_without_photographs_there_is_nothing_to_train_on(tmp_path, count, message):
    for number in range(count):
        Image.fromarray(astronaut()[:100]).save(tmp_path / f"{number}.png")
    result = CliRunner().invoke(main, ["kaufman", "--photographs", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert message in result.output
