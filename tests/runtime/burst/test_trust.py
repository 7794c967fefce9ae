import numpy as np

from runtime.burst.trust import combined, fill_and_trust


def test_known_planes_are_trusted_and_stay(rng):
    planes = rng.random((3, 20, 30), dtype=np.float32)
    before = planes.copy()
    assert fill_and_trust(planes, None) is None
    assert fill_and_trust(planes, np.ones((20, 30), bool)) is None
    np.testing.assert_array_equal(planes, before)


def test_a_fill_is_trusted_less_the_farther_it_lies_from_known_pixels():
    planes = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (3, 30, 1))
    expected, known = planes.copy(), np.ones((30, 40), bool)
    known[10:20, 15:25] = known[3, 5] = False
    planes[:, ~known] = np.nan
    trust = fill_and_trust(planes, known)
    assert np.isfinite(planes).all()
    np.testing.assert_array_equal(planes[:, known], expected[:, known])
    np.testing.assert_allclose(planes[:, 3, 5], expected[:, 3, 5], atol=0.03)
    assert (trust[known] == 1).all()
    assert trust[3, 5] == 1, "next to known pixels a fill is as good"
    assert (trust[13:17, 18:22] == 0).all()
    assert 0 < trust[11, 16] < 1


def test_nothing_known_is_not_trusted():
    planes = np.full((1, 8, 9), np.nan, np.float32)
    assert (fill_and_trust(planes, np.zeros((8, 9), bool)) == 0).all()
    assert np.isfinite(planes).all()


def test_weights_multiply():
    weight = np.array([0.5, 1], np.float32)
    assert combined(None, weight) is weight
    np.testing.assert_array_equal(combined(weight, weight), [0.25, 1])
