"""The range of values that an image is given in, and that its restoration stays in."""

from __future__ import annotations

import math
from typing import NamedTuple

from kernels.arrays import Array
from runtime.errors import InvalidImage

FULL_SCALES = tuple(2.0**bits - 1 for bits in range(8, 17))
"""Largest values of integers of 8 to 16 bits."""
_USUAL_SCALES = tuple(2.0**bits - 1 for bits in (8, 10, 11, 12, 14, 16))
"""Those of cameras: values of uint16 that fit into them are taken for theirs, though none reaches the largest."""
_SHIFTED, _MANY = 0.05, 0.02
"""Floats are shifted if at least the second share of them are below 0 by the first, in units of the largest."""
_STEPS = 3
"""Of values that are all below 0, black and white are multiples of the range over 2 to the power of this, about."""
_LARGEST = 1e36
"""Largest magnitude of a value: sums of some hundred are still within float32."""


class Scale(NamedTuple):
    """What floats stand for.

    Attributes
    ----------
    black
        The value that becomes 0.
    span
        Positive: what is added to it to make the value that becomes 1.
    """

    black: float = 0.0
    span: float = 1.0

    @property
    def is_identity(self) -> bool:
        """Whether values stand for themselves."""
        return self.black == 0

    @property
    def is_guessed(self) -> bool:
        """Whether it is no usual range, [-1, 1] or [-1, 0] but for a power of two, so that black may be elsewhere."""
        return not self.is_identity and not (
            math.frexp(self.black)[0] == -0.5 and self.span in (-self.black, -2 * self.black)
        )

    def bounds(self, low: float, high: float) -> tuple[float, float]:
        """Return the smallest and the largest value of a restoration of values from `low` to `high`.

        What is dark in [-1, 1] may become brighter than 0, but values of which the largest is exactly 0 end there.
        """
        if self.is_identity:
            return min(low, 0.0), max(high, 1.0)
        return min(low, self.black), 0.0 if high == 0 else max(high, -self.black)


UNSHIFTED = Scale()
"""That of values that stand for themselves."""


def largest_of_bits(largest: float) -> float:
    """Return the largest value that a restoration of integers up to `largest` may have, of at most 16 bits.

    It is that of the fewest bits of a camera that hold all of them.

    Of other numbers of bits are only values that reach the largest that these hold. That hardly happens by chance,
    whereas a dim photograph of 16 bits whose restored lights are cut off at a bound just above the observed ones loses
    them.
    """
    return largest if largest in FULL_SCALES else min(top for top in _USUAL_SCALES if largest <= top)


def float_range(planes: Array) -> tuple[float, float]:
    """Return the smallest and the largest of floats.

    Raises
    ------
    InvalidImage
        If a value is NaN, infinite or too large.
    """
    low, high = float(planes.min()), float(planes.max())
    if not (-_LARGEST <= low <= high <= _LARGEST):
        remedy = "replace them first, for example with numpy.nan_to_num and numpy.clip"
        raise InvalidImage(f"the image holds NaN, infinite or too large values, beyond {_LARGEST:.0e}: {remedy}")
    return low, high


def find_scale(planes: Array, known: Array | None, low: float, high: float) -> Scale:
    """Find what floats stand for.

    Black is 0, unless many known values are so far below it that it cannot be noise. It is then a round number a little
    below all values, and its negative stands for white; but where no value is noticeably above 0, as in [-1, 0], a
    round number a little above all of them, at most 0, does.

    Parameters
    ----------
    planes : (C, H, W) array of float32
        Values from `low` to `high`; 0 where unknown.
    known : (H, W) array of bool, optional
        False at pixels of unknown value.
    low, high : float
    """
    dark = -_SHIFTED * max(high, -low)
    count = planes.size if known is None else len(planes) * int(known.sum())
    if low >= dark or int((planes < dark).sum()) < _MANY * count:
        return UNSHIFTED
    if high > _SHIFTED * -low or high == low:
        step = 2.0 ** (math.floor(math.log2(-low)) - 1)
        black = step * math.floor(low / step)
        return Scale(black, -2 * black)
    # Neighbours of values whose range is tiny beside them may be the same float32.
    step = 2.0 ** (math.floor(math.log2(high - low)) - _STEPS)
    black = step * math.floor(low / step)
    return Scale(black, float(min(step * math.ceil(high / step), 0.0) - black))
