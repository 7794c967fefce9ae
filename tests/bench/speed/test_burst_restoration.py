from itertools import pairwise

import numpy as np
import pytest

from bench.speed.burst_restoration import SHIFTS, Frames, measure_burst_restoration
from tests.support.models import write_burst_bundle


@pytest.mark.parametrize("register", [True, False])
def test_every_stage_is_there_and_the_parts_make_the_whole(tmp_path, register):
    model = write_burst_bundle(tmp_path, size=17, core=9)
    row = measure_burst_restoration(str(model.path), 3, 0.06, repeats=2, stride=9, device="cpu", register=register)
    assert (row["model"], row["frames"], row["size"]) == ("mean-of-frames", 3, "300 x 200")
    seconds = row["seconds"]
    assert {"fusion", "network", "filter", "extract", "overlap-add", "read", "other", "whole"} <= set(seconds)
    assert ("register" in seconds) == register
    parts = [figure for stage, figure in seconds.items() if stage != "whole"]
    assert sum(part["min"] for part in parts) <= seconds["whole"]["max"]
    assert sum(part["max"] for part in parts) >= seconds["whole"]["min"]
    assert row["seconds_per_megapixel"] == pytest.approx(seconds["whole"]["median"] / 0.18)


def test_frames_are_no_copies_of_each_other():
    burst = Frames(2 * SHIFTS, 0.02)
    assert len(burst) == len(list(burst)) == 2 * SHIFTS
    assert all(not np.array_equal(first, second) for first, second in pairwise(burst))


def test_frames_are_made_when_they_are_read():
    burst = Frames(3, 0.02)
    assert burst[1] is not burst[1]
    np.testing.assert_array_equal(burst[1], burst[1])
    with pytest.raises(IndexError):
        burst[3]
