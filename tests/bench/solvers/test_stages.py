import numpy as np

from bench.data.datasets import Case
from bench.solvers.stages import OPERATIONS, TimedBlur, stage_table


class Doubling:
    def apply(self, latent):
        return 2 * latent

    def adjoint(self, residual):
        return 3 * residual

    def invert(self, residual):
        return 4 * residual


def test_a_timed_blur_does_the_same_and_counts():
    blur, planes = TimedBlur(Doubling()), np.ones((1, 400, 400), np.float32)
    assert [float(each(planes)[0, 0, 0]) for each in (blur.apply, blur.adjoint, blur.invert)] == [2, 3, 4]
    assert set(blur.seconds) == set(OPERATIONS)


def test_longer_motions_are_told_apart():
    random = np.random.default_rng(0)
    cases = []
    for length in (5.0, 9.0):
        field = np.full((40, 50, 2), length, np.float32)
        cases.append((Case(f"{length}", lambda: None), random.random((1, 40, 50), np.float32), field))
    table = stage_table(cases)
    assert [row["longest"] for row in table.rows] == [5.0, 9.0]
    assert all(row["all"] > row["inverse filters"] > 0 for row in table.rows)
