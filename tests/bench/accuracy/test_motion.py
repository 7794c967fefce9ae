import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from bench.__main__ import main
from bench.accuracy import motion as module
from bench.accuracy.motion import motion_error, turns
from bench.data.motions import blur_along
from tests.bench.conftest import write_picture
from tests.support.models import write_motion_bundle

LENGTH, ANGLE = 9.0, 30.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory, colour_scene):
    data = tmp_path_factory.mktemp("data") / "eval"
    blurred = blur_along(colour_scene, np.broadcast_to(np.float32([LENGTH, ANGLE]), (*colour_scene.shape[:2], 2)))
    write_picture(data / "sharp_cid22_val" / "1.png", colour_scene)
    write_picture(data / "eboli_cpcr" / "nonuniform_gt.png", colour_scene)
    write_picture(data / "eboli_cpcr" / "nonuniform_blurry.png", blurred)
    stored = np.full((*colour_scene.shape[:2], 2), (LENGTH, 90 - ANGLE))
    savemat(data / "eboli_cpcr" / "nonuniform_motion.mat", {"mfmap": stored})
    write_picture(data / "blur2seq_shake" / "blurry" / "1.jpg", blurred)
    write_picture(data / "blur2seq_shake" / "sharp" / "1.jpg", colour_scene)
    return data.parent


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    """The report of a model that sees the true motion of the published case, everywhere and always."""
    double, reach = np.radians(2 * ANGLE), LENGTH - 1
    seen = (reach * np.cos(double), reach * np.sin(double), -1.0)
    bundle = write_motion_bundle(tmp_path_factory.mktemp("models") / "motion", seen)
    file, plot = (tmp_path_factory.mktemp("report") / name for name in ("motion.json", "motion.png"))
    options = ["--data", str(folder), "--cases", "1", "--model", str(bundle.path), "--json", str(file)]
    result = CliRunner().invoke(main, ["motion", *options, "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())


def test_the_true_motion_gains_and_has_no_error(report):
    rows = {(row["set"], row["method"] == "blurred"): row for row in report["tables"]["means"]}
    assert rows["published", False]["gain"] > 1
    assert rows["published", False]["motion_error"] < 0.01
    assert rows["published", True]["motion_error"] == pytest.approx(LENGTH - 1, abs=0.01)
    assert rows["published", False]["seconds"] > 0
    assert rows["turns", False]["motion_error"] > 0.5
    assert "motion_error" not in rows["shake", False]
    assert len(report["tables"]["cases"]) == 6


def test_the_error_of_the_motion_alone(report):
    rows = {(row["kind"], row["method"] == "no motion"): row for row in report["tables"]["motion"]}
    still, seen = rows["moderate", True], rows["moderate", False]
    assert still["mse"] >= still["error"] ** 2 > 0
    assert seen["mse"] >= seen["error"] ** 2 > 0
    assert seen["seconds"] > 0
    assert "seconds" not in still


def test_motions_are_compared_up_to_sign():
    field = np.array([[[9.0, 10.0], [5.0, 90.0]]])
    assert motion_error(field + np.array([0, 180]), field) == pytest.approx(0, abs=1e-6)
    assert motion_error(np.zeros((1, 2, 2)), field) == pytest.approx(6)
    assert motion_error(field + np.array([0, 90]), field) == pytest.approx(6 * 2**0.5)


def test_turns_are_always_the_same(folder):
    cases = turns(folder)
    assert len(cases) == module.TURNS
    assert len({case.name for case in cases}) == module.TURNS
    first, second = (cases[3].load() for _ in range(2))
    np.testing.assert_array_equal(first.observed, second.observed)
    np.testing.assert_array_equal(first.field, second.field)
    assert 8 <= first.field[..., 0].max() <= 22
