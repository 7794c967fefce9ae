from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from export.data.estimates import Estimate
from export.data.scenes import make_scene
from export.loop.recording import write_shard
from export.repair.examples import EDGE, Examples, make_example, restore
from export.repair.network import ASSUMES
from runtime.blur.kernel import fit, shift
from runtime.noise import estimate_noise
from runtime.restoration.repair import facts

from .conftest import SCENES

INSIDE = slice(EDGE, -EDGE)


@pytest.fixture(scope="module")
def scene(planes):
    clean = dataclasses.replace(
        SCENES, noise=(0.002, 0.002), rounded=0, compressed=0, linear=0, sizes=(7, 7), saturated=0, grainy=0
    )
    return make_scene(planes, clean, np.random.default_rng(3), "uniform")


def errors(example):
    """Mean squared errors of the observed and the restored plane, and mean square of the misfit."""
    observed, restored, misfit, truth = example.planes.astype(float)[:, INSIDE, INSIDE]
    return np.square([observed - truth, restored - truth, misfit]).mean((1, 2))


def test_the_right_kernel_restores_and_leaves_no_misfit(scene):
    example = restore(scene, Estimate(scene.kernel, -3.0), 0.002, "balanced")
    assert example.planes.shape == (4, 80, 80)
    assert example.planes.dtype == np.float16
    before, after, misfit = errors(example)
    assert after < 0.5 * before
    assert misfit < 0.01**2
    np.testing.assert_allclose(example.planes[0], scene.observed, atol=1e-3)
    np.testing.assert_allclose(example.planes[3], scene.sharp, atol=0.03)
    assert example.measures[:2] == pytest.approx([0.002, -3.0])
    assert 0.5 < example.measures[2] < 7


def test_light_is_restored_as_light_and_shown_as_stored(planes):
    clean = dataclasses.replace(SCENES, compressed=0, sizes=(7, 7), grainy=0, lit=0, processed=0)
    for seed in range(9):
        scene = make_scene(planes, clean, np.random.default_rng(seed), "light")
        if scene.response.linear:
            continue
        noise = estimate_noise(scene.light)
        example = restore(scene, Estimate(scene.kernel, -3.0), noise, "fast")
        before, after, _ = errors(example)
        assert after < before
        np.testing.assert_allclose(example.planes[0], scene.observed, atol=1e-3)
        assert example.measures[0] == pytest.approx(noise / scene.response.mean_slope(scene.observed), rel=1e-5)


def test_the_truth_lies_where_the_restoration_does(scene):
    side = scene.kernel.shape[0] + 8
    there, here = (
        restore(scene, Estimate(shift(fit(scene.kernel, side), *place), -3.0), 0.002, "fast")
        for place in ((0, 0), (2, -3))
    )
    np.testing.assert_allclose(
        here.planes[3, 10:-10, 10:-10], np.roll(there.planes[3], (-2, 3), (0, 1))[10:-10, 10:-10], atol=0.02
    )
    assert errors(here)[1] < 1.5 * errors(there)[1]


def test_a_wrong_kernel_restores_worse(scene):
    right, wrong = (
        restore(scene, Estimate(kernel, -1.0), 0.002, "fast") for kernel in (scene.kernel, scene.kernel.T.copy())
    )
    assert errors(wrong)[1] > 2 * errors(right)[1]


def test_examples_of_photographs_differ_and_are_the_same_again(planes, prior):
    first, second, again = (make_example(planes, SCENES, prior, np.random.default_rng(seed)) for seed in (4, 5, 4))
    np.testing.assert_array_equal(first.planes, again.planes)
    np.testing.assert_array_equal(first.measures, again.measures)
    assert not np.array_equal(first.planes, second.planes)
    assert np.isfinite(first.planes).all()
    assert np.isfinite(first.measures).all()


def test_files_are_read_together(some, tmp_path):
    write_shard(tmp_path / "training-0.npz", [vars(each) for each in some[:3]], 2.5)
    write_shard(tmp_path / "training-1.npz", [vars(each) for each in some[3:5]], 1.0)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["training-0.npz", "training-1.npz"]
    read = Examples.read(files, ASSUMES)
    assert len(read) == 5
    for index in range(5):
        np.testing.assert_array_equal(read.planes[index].numpy(), some[index].planes)
        np.testing.assert_allclose(read.facts[index].numpy(), facts(*some[index].measures.tolist(), ASSUMES), rtol=1e-6)


def test_mistakes_are_named(some, tmp_path):
    with pytest.raises(ValueError, match="record for longer"):
        Examples.read([], ASSUMES)
    smaller = dataclasses.replace(some[0], planes=some[0].planes[:, :64, :64])
    write_shard(tmp_path / "a.npz", [vars(some[0])], 1.0)
    write_shard(tmp_path / "b.npz", [vars(smaller)], 1.0)
    with pytest.raises(ValueError, match="of different sizes"):
        Examples.read([tmp_path / "a.npz", tmp_path / "b.npz"], ASSUMES)
