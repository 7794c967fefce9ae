import json

import pytest

from bench.gpu.goals import EFFICIENT, goal_table


@pytest.fixture
def folder(tmp_path):
    def write(section, tables):
        (tmp_path / f"{section}.json").write_text(json.dumps({"tables": tables}))

    kernels = [
        {"kernel": name, "face": "cuda", "size": size, "of_roofline": share, "seconds": {"median": seconds}}
        for name in (*EFFICIENT, "filter_patches", "rfft2 and irfft2 alone")
        for size, share, seconds in ((64, 0.1, 9.0), (4096, 0.9, 3.0 if name == "filter_patches" else 2.0))
    ]
    write("kernels", {"kernels": [*kernels, {**kernels[0], "face": "cpu", "size": 10**6}]})
    rate = {"of_matrix_rate": 0.5}
    write("throughput-paper-strides", {"restoration": [
        {"stride": 8, "not_network": {"median": 0.9}, **rate},
        {"stride": 4, "not_network": {"median": 0.2}, **rate},
    ]})  # fmt: skip
    seconds = {"seconds": {"median": 1.5}, "max_abs_difference": 1e-6}
    compiled = [
        {"by": "PyTorch compiled", "precision": "fp32", "time_over_runtime": 1.0, **seconds},
        {"by": "PyTorch compiled", "precision": "fp16", "time_over_runtime": 2.5, **seconds,
         "max_abs_difference": 0.5},
    ]  # fmt: skip
    write("peers-paper", {"compiled": compiled, "patches": [
        {"by": "this runtime", "precision": "fp32", **seconds},
        {"by": "MONAI", "precision": "fp16", "time_over_runtime": 9.0, **seconds},
        {"by": "MONAI", "precision": "fp16", "time_over_runtime": 4.0, **seconds},
        {"by": "PyTorch eager", "precision": "fp16", "problem": "no"},
    ]})  # fmt: skip
    burst = {"frames": 14, "megapixels": 0.7, "seconds": {"whole": {"median": 0.8}}}
    write("bursts", {"bursts": [{"model": "fba", **burst}, {"model": "wieschollek", **burst}]})
    return tmp_path


def test_goals_are_judged_by_the_largest_calls_of_their_face(folder):
    rows = {row["goal"]: row for row in goal_table(folder, "cuda").rows}
    for name in EFFICIENT:
        assert rows[f"{name}, of its bound"] == {
            "goal": f"{name}, of its bound", "value": 0.9, "limit": ">= 0.8", "met": True,
        }  # fmt: skip
    transforms = rows["filter_patches, time over the library's transforms"]
    assert (transforms["value"], transforms["met"]) == (1.5, False)


def test_the_other_goals_are_judged_by_what_is_asked_of_them(folder):
    rows = {row["goal"]: (row["value"], row["met"]) for row in goal_table(folder, "cuda").rows}
    assert rows["paper size, stride 4: around the network"] == (pytest.approx(0.25), True)
    assert rows["paper size, stride 4: network, of the matrix rate"] == (0.5, False)
    # The fastest row of each counts, and only in the precision that is asked for.
    assert rows["PyTorch compiled in half precision, time over the runtime's"] == (2.5, True)
    assert rows["MONAI in half precision, time over the runtime's"] == (4.0, False)
    assert rows["peers in float32, largest difference"] == (1e-6, True)
    assert rows["14 frames of 0.7 Mpx by wieschollek, seconds"] == (0.8, True)
    assert len(rows) == len(EFFICIENT) + 7


def test_of_sections_that_wrote_nothing_there_is_nothing(tmp_path):
    assert goal_table(tmp_path, "cuda").rows == []
