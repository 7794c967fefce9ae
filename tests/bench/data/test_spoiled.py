import numpy as np
import pytest

from bench.data.datasets import BUNDLED, SETS, data_folder, samples
from bench.data.spoiled import SPOILED

WAYS = [(how, way) for how, ways in SPOILED.items() for way in ways]


@pytest.fixture(scope="module", params=["colour", "grey"])
def photograph(request):
    random = np.random.default_rng(0)
    shape = (220, 300, 3) if request.param == "colour" else (220, 300)
    return random.uniform(0, 1, shape).astype(np.float32), random.uniform(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize(("how", "way"), WAYS)
def test_the_view_of_a_spoiled_photograph_is_the_photograph(photograph, how, way):
    observed, sharp = photograph
    image, view, covered = SPOILED[how][way](observed, sharp)
    seen = view(image)
    assert seen.shape == observed.shape
    assert seen.dtype == np.float32
    differs = (np.abs(seen - observed) > 1 / 255).reshape(*seen.shape[:2], -1).any(axis=2)
    if how == "stamps":
        # Only what a stamp covers is another picture.
        assert not (differs & ~covered).any()
        assert 0 < covered.mean() < 0.25
    else:
        assert covered is None
        assert not differs.any()


def test_a_bare_photograph_has_nothing_on_it_and_is_compared_alike(photograph):
    image, view, covered = SPOILED["stamps"]["title"](*photograph)
    bare, same_view, same = SPOILED["stamps"]["title_bare"](*photograph)
    np.testing.assert_array_equal(covered, same)
    np.testing.assert_array_equal(view(bare), same_view(bare))
    np.testing.assert_allclose(view(bare), photograph[0], atol=1 / 255)
    assert (image != bare).any()


@pytest.mark.parametrize(("how", "way"), WAYS)
def test_a_spoiled_photograph_is_another_image(photograph, how, way):
    observed, sharp = photograph
    image, _, _ = SPOILED[how][way](observed, sharp)
    same = image.shape == observed.shape and image.dtype == np.float32 and np.allclose(image, observed)
    assert not same


def test_the_sets_need_no_data_and_hold_every_sample_in_every_way(monkeypatch):
    monkeypatch.delenv("DEBLUR_DATA", raising=False)
    for how, ways in SPOILED.items():
        cases = SETS[how](data_folder(".") if how not in BUNDLED else None)
        assert len(cases) == len(samples(None)) * len(ways)
        assert {case.kind for case in cases} == set(ways)


def test_a_case_loads_a_sample_of_the_size_of_its_truth():
    sample = SETS["borders"](None)[0].load()
    assert sample.view(sample.observed).shape == sample.sharp.shape
    assert not sample.plain
    assert samples(None)[0].load().plain
