from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

import runtime


def test_a_result_cannot_be_changed():
    result = runtime.Restoration(np.zeros((2, 2)), None, None, None, {}, "model")
    with pytest.raises(FrozenInstanceError):
        result.image = None


@pytest.mark.parametrize("kind", [runtime.Restoration, runtime.BurstRestoration])
def test_every_part_of_a_result_is_documented(kind):
    for field in fields(kind):
        assert f"\n    {field.name}\n        " in kind.__doc__


def test_a_photograph_that_was_restored_has_no_reason_not_to_be():
    result = runtime.Restoration(np.zeros((2, 2)), None, None, None, {}, "model")
    assert (result.code, result.reason, result.confidence) == (None, None, None)
