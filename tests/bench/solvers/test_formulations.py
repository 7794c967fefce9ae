import numpy as np
import pytest

import kernels.reference.nonuniform as reference
from bench.solvers.formulations import by_transforms, formulation_table, pixel_by_pixel
from kernels.nonuniform import FilterBank


@pytest.mark.parametrize("formulation", [pixel_by_pixel, by_transforms])
def test_all_formulations_compute_the_same(formulation):
    random = np.random.default_rng(0)
    bank = FilterBank.from_filters([random.random((5, 9), np.float32), random.random((3, 3), np.float32)])
    image, weights = random.random((2, 30, 37), np.float32), random.random((30, 37, 2), np.float32)
    indices = random.integers(0, 2, (30, 37, 2), dtype=np.int32)
    expected = reference.nonuniform_convolve(image, bank, indices, weights)
    np.testing.assert_allclose(formulation(image, bank, indices, weights), expected, atol=1e-4)


def test_table_has_a_row_for_each_bank_and_field():
    table = formulation_table(1, shape=(24, 40))
    assert [(row["filters"], row["longest"]) for row in table.rows] == [
        ("motions", 21), ("inverses", 21), ("motions", 35), ("inverses", 35),
    ]  # fmt: skip
    for row in table.rows:
        assert row["tiles"]["median"] > 0
        assert row["used"] > 4
        assert row["taps"] > 1
    assert "by transforms (ms)" in table.text()
