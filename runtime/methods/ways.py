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
from runtime.tiles import bands

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
        return self._restored(self.observed, self.guide, self.run)

    @cached_property
    def promise(self) -> Estimate:
        """The restoration of the part with the strongest edges of a large photograph, or of a small one."""
        if self.guide.size < 2 * _ENOUGH:
            return self.whole
        window = informative_window(self.guide, _ENOUGH, narrowest=4 * max(self.found.kernel.shape))
        part, known = array_module(self.guide).ascontiguousarray, self.run.known
        run = replace(self.run, known=None if known is None else known[window])
        return self._restored(part(self.observed[:, *window]), part(self.guide[window]), run)

    def _restored(self, observed: Array, guide: Array, run: Run[Options]) -> Estimate:
        if self.response.linear:
            return restore_with(observed, guide, self.found, run)
        estimate = restore_with(self.response.to_light(observed), None, self.found, run)
        if estimate.reason is not None:
            return replace(estimate, latent=observed, response=self.response)
        for band in bands(guide.shape):
            estimate.latent[:, band] = self.response.from_light(estimate.latent[:, band])
        return replace(estimate, response=self.response)


def most_promising(ways: Sequence[Way], favour: float = 0.0) -> Way:
    """Return the way that promises the largest gain of those whose restorations are accepted, or the first of all.

    The gain of the first counts for `favour` dB more.
    """
    if len(ways) == 1:
        return ways[0]
    accepted = [way for way in ways if way.promise.reason is None]
    accepted.sort(key=lambda way: (way.promise.gain or 0.0) + favour * (way is ways[0]), reverse=True)
    return next((way for way in accepted if way.whole.reason is None), ways[0])
