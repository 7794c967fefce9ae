import json
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import savemat

from bench.__main__ import main
from bench.data.motions import blur_along
from bench.solvers import command as module
from tests.bench.conftest import write_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory, colour_scene, data_set):
    data = tmp_path_factory.mktemp("data")
    (data / "eval").mkdir()
    (data / "eval" / "levin2009").symlink_to(data_set / "eval" / "levin2009")
    write_picture(data / "eval" / "sharp_cid22_val" / "1.png", colour_scene)
    stored = np.full((*colour_scene.shape[:2], 2), (9.0, 60.0))
    case = data / "eval" / "eboli_cpcr"
    write_picture(case / "nonuniform_gt.png", colour_scene)
    write_picture(case / "nonuniform_blurry.png", blur_along(colour_scene, np.float32([9, 30]) + 0 * stored))
    savemat(case / "nonuniform_motion.mat", {"mfmap": stored})
    return data


@pytest.fixture(scope="module")
def report(folder, tmp_path_factory):
    file, plot = (tmp_path_factory.mktemp("report") / name for name in ("nonblind.json", "nonblind.png"))
    with pytest.MonkeyPatch.context() as patch:
        quick = {name: restore for name, restore in module.NONUNIFORM.items() if name != "CG"}
        patch.setattr(module, "NONUNIFORM", quick)
        patch.setattr(module, "formulation_table", partial(module.formulation_table, shape=(24, 40)))
        options = ["nonblind", "--data", str(folder), "--cases", "1", "--json", str(file), "--plot", str(plot)]
        result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    assert plot.stat().st_size > 1000
    return json.loads(file.read_text())


def test_every_solver_restores_every_set(report):
    means = {(row["set"], row["method"]): row for row in report["tables"]["means"]}
    for name, methods in {
        "published": ("blurred", "CG, 10 steps", "IRC"),
        "synthetic": ("blurred", "CG, 10 steps", "IRC"),
        "uniform": ("blurred", "FFT", "FFT, no padding", "CG", "IRC"),
    }.items():
        assert [method for found, method in means if found == name] == list(methods)
        for method in methods[1:]:
            assert means[name, method]["seconds"] > 0
    for name in ("published", "uniform"):
        assert means[name, "IRC"]["psnr"] > means[name, "blurred"]["psnr"] + 1
    assert means["uniform", "FFT, no padding"]["psnr"] < means["uniform", "IRC"]["psnr"]


def test_formulations_are_timed(report):
    assert len(report["tables"]["formulations"]) == 4


def test_stages_make_up_the_whole(report):
    rows = report["tables"]["stages"]
    assert rows
    for row in rows:
        parts = [row[name] for name in ("set-up", "blur", "adjoint", "inverse filters", "rest")]
        assert min(parts) > 0
        assert sum(parts) == pytest.approx(row["all"])


def test_the_report_says_where_it_was_measured(report):
    assert report["benchmark"] == "nonblind"
    assert report["machine"]["cores"] >= 1
    assert "numba" in report["machine"]["versions"]


def test_data_are_needed():
    result = CliRunner(env={"DEBLUR_DATA": ""}).invoke(main, ["nonblind"])
    assert result.exit_code == 2
    assert "give its folder with --data" in result.output
