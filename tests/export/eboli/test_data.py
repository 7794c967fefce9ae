from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from export.data.camera import CameraConfig
from export.data.recorded_shake import Shake
from export.eboli.data import (
    KINDS,
    MotionConfig,
    double_angle,
    draw_paths,
    linear_motion,
    synthesise_motions,
    turning_blur,
    window,
)
from export.eboli.network import PATCH

UNSHAKEN = MotionConfig(shake=0)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(3)


@pytest.fixture(scope="module")
def shake():
    return Shake([np.cumsum(np.random.default_rng(1).standard_normal((60, 2)), 0)])


def only(kind, **more):
    return MotionConfig(**{other: float(other == kind) for other in KINDS}, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_patches_and_their_motion(photographs, shake, generator, kind):
    motions = synthesise_motions(photographs, only(kind), 5, generator, shake)
    assert motions.observed.shape == (5, PATCH, PATCH)
    assert motions.motion.shape == (5, 2)
    assert torch.isfinite(motions.observed).all()
    assert motions.motion.norm(dim=1).max() <= 34.001


def test_the_same_seed_makes_the_same_patches(photographs):
    camera = CameraConfig(linear=0.5, bright=0.2, jpeg=0.5, clip=True)
    config = dataclasses.replace(UNSHAKEN, camera=camera)
    first, second = (synthesise_motions(photographs, config, 16, torch.Generator().manual_seed(8)) for _ in range(2))
    assert torch.equal(first.observed, second.observed)
    assert torch.equal(first.motion, second.motion)


@pytest.mark.parametrize("angle", [0, 30, 90, 150])
def test_a_straight_path_is_its_own_linear_motion(angle):
    radians = math.radians(angle)
    path = torch.linspace(-6, 6, 401)[:, None] * torch.tensor([-math.sin(radians), math.cos(radians)])
    expected = 12 * torch.tensor([math.cos(2 * radians), math.sin(2 * radians)])
    torch.testing.assert_close(linear_motion(path[None])[0], expected, atol=0.05, rtol=0)


def test_a_path_that_goes_all_ways_is_no_linear_motion():
    turn = torch.linspace(0, 2 * math.pi, 401)[:-1]
    assert linear_motion(5 * torch.stack((turn.sin(), turn.cos()), 1)[None]).norm() < 0.05


def test_still_patches_do_not_move(generator):
    assert not draw_paths("line", 9, dataclasses.replace(UNSHAKEN, still=1.0), generator).any()


def test_a_motion_that_does_not_change_is_a_convolution(generator):
    config = only("turning", gradient=0.0, still=0.0)
    side = PATCH + window(config) - 1
    ramp = torch.arange(side).float().expand(3, side, side) + 2 * torch.arange(side)[:, None]
    motion, observed = turning_blur(ramp, config, generator)
    assert motion.norm(dim=1).min() > 0
    inner = slice((side - PATCH) // 2, (side + PATCH) // 2)
    torch.testing.assert_close(observed, ramp[:, inner, inner], atol=0.02, rtol=0)


def test_a_turning_blur_smears_along_the_motion_that_it_tells(generator):
    config = only("turning", still=0.0, longest=20.0)
    side = PATCH + window(config) - 1
    sharp = torch.zeros(16, side, side)
    sharp[:, side // 2, side // 2] = 1
    motion, observed = turning_blur(sharp, config, generator)
    place = torch.arange(PATCH) - PATCH // 2
    mass = observed / observed.sum((1, 2), keepdim=True)
    right, up = place[None, None, :], -place[None, :, None]
    spread = torch.stack(((mass * (right**2 - up**2)).sum((1, 2)), (mass * 2 * right * up).sum((1, 2))), 1)
    aligned = torch.cosine_similarity(spread, motion)[motion.norm(dim=1) > 6]
    assert len(aligned) > 3
    assert aligned.min() > 0.9


def test_the_double_angle_forgets_the_sign():
    vectors = torch.tensor([[3.0, -4.0], [0.0, 2.0]])
    torch.testing.assert_close(double_angle(vectors), double_angle(-vectors))
    torch.testing.assert_close(double_angle(vectors).norm(dim=1), vectors.norm(dim=1))
    torch.testing.assert_close(double_angle(vectors)[1], torch.tensor([-2.0, 0.0]))


def test_recorded_shake_needs_a_recording(photographs, generator):
    with pytest.raises(ValueError, match="give --motion"):
        synthesise_motions(photographs, MotionConfig(), 4, generator)


@pytest.mark.parametrize(
    "values",
    [{"line": -1.0}, dict.fromkeys(KINDS, 0.0), {"still": 2.0}, {"longest": 1.0}, {"longest": 90.0},
     {"gradient": -0.1}, {"noise": (0.0, 0.1)}, {"noise": (0.2, 0.1)}],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(values):
    with pytest.raises(ValueError, match="must be"):
        MotionConfig(**values)


def test_counts_add_up():
    assert sum(MotionConfig().counts(37).values()) == 37
