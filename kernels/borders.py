"""What a plane needs before its spectrum: a window that fades its borders, and sides that transform fast."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kernels._dispatch import check_integer, check_size


def fading(side: int, border: int) -> npt.NDArray[np.float32]:
    """Return the window ``(side,)`` that rises over `border` samples, is 1, and falls again.

    The flanks are the halves of a Barthann window, ``0.62 - 0.48 |t| + 0.38 cos(2 pi t)`` with `t` from -1/2 to 1/2.
    Where two flanks do not fit they meet in the middle.

    Parameters
    ----------
    side
        At least 1.
    border
        At least 0.

    Raises
    ------
    TypeError
        If one is not an integer.
    ValueError
        If it is below its least value.
    """
    side, border = check_size("side", side), check_integer("border", border)
    if border < 0:
        raise ValueError(f"border must be at least 0, got {border}")
    border = min(border, side // 2)
    window = np.ones(side)
    if border:
        place = (np.arange(border) + 0.5) / (2 * border) - 0.5
        flank = 0.62 - 0.48 * np.abs(place) + 0.38 * np.cos(2 * np.pi * place)
        window[:border] = flank
        window[side - border :] = flank[::-1]
    return window.astype(np.float32)


@lru_cache(maxsize=256)
def fast_side(side: int) -> int:
    """Return the least number from `side` on that is even and has no prime factors but 2, 3 and 5."""
    found = check_size("side", side) + side % 2
    while True:
        rest = found
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return found
        found += 2
