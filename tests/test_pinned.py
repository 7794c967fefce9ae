"""Restorations stay what they were; see `tests.pinned`."""

import numpy as np
import pytest

from tests import pinned

TOLERANCE = 2e-3
"""Processors round differently, and what iterates amplifies it: on one and the same results are equal bit for bit."""


@pytest.fixture(scope="module")
def recorded():
    with np.load(pinned.RECORD) as record:
        return dict(record)


@pytest.mark.parametrize("name", pinned.CASES)
def test_a_restoration_is_what_it_was(name, recorded):
    result = pinned.restore(name)
    assert result.dtype == np.float32
    np.testing.assert_allclose(pinned.middle(result), recorded[name], rtol=0, atol=TOLERANCE)


def test_every_case_is_recorded(recorded):
    assert set(recorded) == {*pinned.CASES, "digests"}
    assert len(set(recorded["digests"])) == len(pinned.CASES)
