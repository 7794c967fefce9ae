import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

from bench.accuracy import runner as cases_module
from bench.accuracy.evaluation import BLURRED, WHOLE
from bench.accuracy.runner import Setup, Task, measure_case, measure_cases
from bench.data.datasets import Case, Sample, levin
from runtime.errors import InvalidArgument, ModelNotFound


@pytest.fixture
def setup(bundle):
    return Setup(str(bundle.path), "cpu", methods=(BLURRED,), quality="fast")


def blank(value):
    image = np.full((96, 128), value, np.float32)
    return Sample(image, image, max_shift=0)


def tasks(*values, drawn=False):
    return [Task("blank", Case(f"{value}", partial(blank, value), "flat"), drawn) for value in values]


def broken():
    raise InvalidArgument("this one cannot be loaded")


def test_a_case_is_named_sized_and_scored(setup, data_set):
    case = levin(data_set)[0]
    row, picture = measure_case(Task("levin", case), setup)
    assert {key: row[key] for key in ("set", "case", "kind")} == {"set": "levin", "case": "im01_ker01", "kind": ""}
    assert row["megapixels"] == pytest.approx(150 * 160 / 1e6)
    assert row["methods"][BLURRED]["gain"] == 0
    assert picture is None


def test_a_picture_is_drawn_where_it_is_wanted(setup):
    _, picture = measure_case(tasks(0.5, drawn=True)[0], setup)
    assert picture.mode == "RGB"


@pytest.mark.parametrize("processes", [1, 2])
def test_cases_come_in_order_from_any_number_of_processes(processes, setup):
    measured = list(measure_cases(tasks(0.1, 0.2, 0.3, drawn=True), setup, processes))
    assert [row["case"] for row, _ in measured] == ["0.1", "0.2", "0.3"]
    assert [picture.getpixel((160, 120))[0] for _, picture in measured] == [26, 51, 76]


def test_processes_end_with_the_one_that_started_them(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from bench.accuracy.runner import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""
    )
    started = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    worker = int(started.stdout.readline())
    os.kill(worker, 0)
    started.kill()
    started.wait()
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("it goes on although nobody waits for it")


def test_cases_are_given_as_soon_as_they_are_done(setup):
    later = [*tasks(0.1), Task("blank", Case("broken", broken))]
    measured = measure_cases(later, setup)
    assert next(measured)[0]["case"] == "0.1"
    with pytest.raises(InvalidArgument, match="cannot be loaded"):
        next(measured)


def test_options_reach_the_runtime_and_the_model_is_loaded_once(bundle, monkeypatch):
    asked, loaded = [], []

    class Recorder:
        def __init__(self, **options):
            loaded.append(options)

        def restore(self, image, **options):
            asked.append(options)

    monkeypatch.setattr("runtime.Deblurrer", Recorder)
    monkeypatch.setattr(cases_module, "restore_sample", lambda deblurrer, sample, methods, **options: asked.append(
        (methods, options)) or {})  # fmt: skip
    monkeypatch.setattr(cases_module, "score_results", lambda results, sample: {})
    setup = Setup("model", "cpu", "fp32", (WHOLE,), "best", 3, "wiener")
    list(measure_cases(tasks(0.1, 0.2), setup))
    options = {"quality": "best", "stride": 3, "nonblind": "wiener"}
    assert loaded == [{"model": "model", "device": "cpu", "precision": "fp32"}]
    # The first is to warm up.
    assert asked == [options, ((WHOLE,), options), ((WHOLE,), options)]


def test_what_the_runtime_refuses_is_not_hidden(bundle):
    with pytest.raises(ModelNotFound):
        list(measure_cases(tasks(0.1), Setup("nonsense", "cpu")))
    with pytest.raises(InvalidArgument, match="quality"):
        list(measure_cases(tasks(0.1), Setup(str(bundle.path), "cpu", quality="magic")))
