import pytest

from bench.speed.restoration import NEURAL_AVERAGE, STAGES, measure_restoration
from kernels.patches import PatchGrid
from runtime.inference.patch_engine import CPU_BATCH


@pytest.fixture(scope="module")
def row(bundle):
    return measure_restoration(
        str(bundle.path), 0.02, repeats=3, stride=3, batch=50, device="cpu", grey=True, quality="fast"
    )


def test_sizes_and_counts_are_those_of_the_photograph(row):
    assert (row["size"], row["stride"], row["batch"], row["channels"]) == ("173 x 116", 3, 50, 1)
    assert row["megapixels"] == pytest.approx(173 * 116 / 1e6)
    assert row["patches"] == len(PatchGrid(116, 173, 17, 9, 3))


def test_every_stage_is_there_and_the_parts_make_the_whole(row):
    seconds = row["seconds"]
    assert set(seconds) == {*STAGES, "neural average", "other", "whole"}
    assert all(
        figure["repeats"] == 3 and figure["min"] <= figure["median"] <= figure["max"] for figure in seconds.values()
    )
    assert sum(seconds[stage]["min"] for stage in (*STAGES, "other")) <= seconds["whole"]["max"]
    assert sum(seconds[stage]["max"] for stage in (*STAGES, "other")) >= seconds["whole"]["min"]
    assert sum(seconds[stage]["min"] for stage in NEURAL_AVERAGE) <= seconds["neural average"]["min"] * 1.0001
    assert 0 < row["not_network"]["median"] < 1


def test_rates_are_those_of_the_medians(row):
    whole, neural = (row["seconds"][part]["median"] for part in ("whole", "neural average"))
    assert row["megapixels_per_second"] == pytest.approx(row["megapixels"] / whole)
    assert row["seconds_per_megapixel"] == pytest.approx(whole / row["megapixels"])
    assert row["neural_megapixels_per_second"] == pytest.approx(row["megapixels"] / neural)
    assert row["patches_per_second"] == pytest.approx(row["patches"] / neural)


def test_the_neural_average_alone_has_no_further_stages(bundle):
    row = measure_restoration(str(bundle.path), 0.01, repeats=1, device="cpu", nonblind="none")
    assert set(row["seconds"]) == {"prepare", *NEURAL_AVERAGE, "neural average", "other", "whole"}
    assert (row["stride"], row["batch"], row["channels"]) == (4, CPU_BATCH, 3)
    assert row["precision"] == "fp32"
    # This bundle's network has no dense layers.
    assert row["network_flops_per_second"] == 0
