from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from kernels.borders import fading, fast_side


@pytest.mark.parametrize("border", [1, 5, 20])
def test_the_flanks_are_those_of_a_barthann_window(border):
    # The window of SciPy has samples at its ends; those between are the ones of ours.
    full = signal.windows.barthann(4 * border + 1)[1::2]
    window = fading(3 * border + 40, border)
    np.testing.assert_allclose(window[:border], full[:border], atol=1e-6)
    np.testing.assert_allclose(window[-border:], full[border:], atol=1e-6)
    assert (window[border:-border] == 1).all()


def test_flanks_that_do_not_fit_meet_in_the_middle():
    window = fading(7, 100)
    np.testing.assert_allclose(window, window[::-1])
    assert window.argmax() == 3
    assert (fading(5, 0) == 1).all()


@given(side=st.integers(1, 5000))
def test_a_fast_side_is_the_next_even_product_of_small_primes(side):
    found = fast_side(side)
    fast = {2 * 2**a * 3**b * 5**c for a in range(13) for b in range(9) for c in range(7)}
    assert found == min(number for number in fast if number >= side)


def test_refuses_bad_input():
    with pytest.raises(ValueError, match="border must be at least 0"):
        fading(5, -1)
    with pytest.raises(ValueError, match="side must be at least 1"):
        fading(0, 1)
    with pytest.raises(TypeError, match="side must be an integer"):
        fast_side(2.5)
