from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export.data.recorded_shake import Shake


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _walk(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((frames, 2)).cumsum(0)


def _track(angles: np.ndarray) -> dict[str, object]:
    channels = {f"rotation_euler[{axis}]": [[i, v] for i, v in enumerate(angles[:, axis])] for axis in (0, 1)}
    return {"fps": 24.0, "channels": channels}


@settings(max_examples=20, deadline=None)
@given(frames=st.integers(25, 80), count=st.integers(1, 6), samples=st.integers(2, 60), seed=st.integers(0, 1000))
def test_paths_fill_the_unit_square(frames, count, samples, seed):
    paths = Shake([_walk(frames, seed), _walk(26, seed + 1)]).paths(count, samples, _generator(seed))
    assert paths.shape == (count, samples, 2)
    assert paths.dtype == torch.float32
    assert paths.min() >= 0
    torch.testing.assert_close(paths.amax((1, 2)), torch.ones(count))


def test_a_steady_turn_is_a_straight_line():
    steady = np.arange(60)[:, None] * np.array([[1.0, 2.0]])
    paths = Shake([steady]).paths(8, 20, _generator())
    steps = paths.diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=1e-4, rtol=0)


def test_a_camera_at_rest_gives_a_point():
    paths = Shake([np.ones((40, 2))]).paths(3, 10, _generator())
    assert torch.equal(paths, torch.zeros(3, 10, 2))


def test_reading_takes_every_track_that_turns(tmp_path):
    file = tmp_path / "motion.json"
    still = {"fps": 24.0, "channels": {"location[0]": [[0.0, 0.0]]}}
    file.write_text(json.dumps({"a": _track(_walk(40)), "b": still}))
    read = Shake.read(file).paths(4, 30, _generator())
    assert torch.equal(read, Shake([_walk(40)]).paths(4, 30, _generator()))


@pytest.mark.parametrize("content", ["{", "[1, 2]", '{"a": 1}', '{"a": {"channels": {"rotation_euler[0]": 3}}}', "{}"])
def test_another_file_is_refused(tmp_path, content):
    file = tmp_path / "motion.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"camera tracks|no recording"):
        Shake.read(file)


def test_recordings_must_be_long_enough():
    with pytest.raises(ValueError, match="longer than 24 frames"):
        Shake([_walk(24)])


@pytest.mark.data
def test_real_recordings_turn_the_camera():
    folder = os.environ.get("DEBLUR_DATA")
    if not folder:
        pytest.skip("DEBLUR_DATA names no folder")
    file = Path(folder) / "motion" / "camera_shakify.json"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    paths = Shake.read(file).paths(200, 192, _generator())
    length = paths.diff(dim=1).norm(dim=2).sum(1)
    # Longer than a straight line on average: hands do not move straight.
    assert 1.1 < float(length.mean()) < 10
