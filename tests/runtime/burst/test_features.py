import numpy as np

from runtime.burst.features import features, match
from runtime.colour import luminance
from tests.support.bursts import scene

PLANE = luminance(scene())


def test_matched_features_give_the_homography():
    moved = np.roll(PLANE, (5, -7), (0, 1))
    found = match(features(PLANE, None), features(moved, None))
    np.testing.assert_allclose(found / found[2, 2], [[1, 0, -7], [0, 1, 5], [0, 0, 1]], atol=0.3)


def test_there_are_none_in_unknown_pixels():
    known = np.zeros(PLANE.shape, bool)
    known[60:120, 80:160] = True
    points, _ = features(PLANE, known)
    assert len(points) > 5
    assert all(known[round(point.pt[1]), round(point.pt[0])] for point in points)


def test_what_has_no_features_does_not_match():
    flat = features(np.full_like(PLANE, 0.5), None)
    assert match(flat, features(PLANE, None)) is None
    assert match(features(PLANE, None), flat) is None
