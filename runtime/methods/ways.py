"""Ways to restore a photograph with one kernel: which of them promises most is told by a part of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from kernels.arrays import Array, array_module
from runtime.contract import Estimate
from runtime.estimation.kernel.blind import BlindEstimate
from runtime.estimation.kernel.pyramid import informative_window
from runtime.methods.uniform import restore_with
from runtime.options import Options
from runtime.response import LINEAR, Response
from runtime.run import Run

_ENOUGH = 1_500_000
"""Pixels of the part, about, by which ways are compared; of a photograph of less than twice as many, the whole is."""


@dataclass(eq=False)
class Way:
    """One of several ways to restore a photograph: a kernel, and the curve to the light that it is to blur.

    Attributes
    ----------
    observed
        Float32 ``(C, H, W)``, the photograph as stored.
    guide
        Float32 ``(H, W)``, its luminance.
    found
        The kernel.
    run
        On the photograph, or on its light.
    response
        The curve from the light that is restored to the values as stored.
    """

    observed: Array
    guide: Array
    found: BlindEstimate
    run: Run[Options]
    response: Response = LINEAR

    @cached_property
    def whole(self) -> Estimate:
        """The restoration of the photograph."""
        return restore_with(self.observed, self.guide, self.found, self.run, self.response)

    @cached_property
    def promise(self) -> Estimate:
        """The restoration of the part with the strongest edges of a large photograph, or of a small one."""
        if self.guide.size < 2 * _ENOUGH:
            return self.whole
        window = informative_window(self.guide, _ENOUGH, narrowest=4 * max(self.found.kernel.shape))
        part, known = array_module(self.guide).ascontiguousarray, self.run.known
        run = replace(self.run, known=None if known is None else known[window])
        return restore_with(part(self.observed[:, *window]), part(self.guide[window]), self.found, run, self.response)


def most_promising(ways: Sequence[Way], favour: float = 0.0) -> Way:
    """Return the way that promises the largest gain of those whose restorations are accepted, or the first of all.

    The gain of the first counts for `favour` dB more. Nothing is compared where all kernels but one were refused.
    """
    left = [way for way in ways if way.found.reason is None]
    if len(left) <= 1:
        return (left or ways)[0]
    accepted = [way for way in left if way.promise.reason is None]
    accepted.sort(key=lambda way: (way.promise.gain or 0.0) + favour * (way is ways[0]), reverse=True)
    return next((way for way in accepted if way.whole.reason is None), ways[0])
