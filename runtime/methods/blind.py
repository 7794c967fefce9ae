"""Restore a photograph with one kernel, of which it is to be told whether it has blurred stored values or light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kernels.arrays import Array
from runtime.blur.kernel import Kernel
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    LIGHT_LESS_SPARSE,
    LIGHT_LESS_SURE,
    LITTLE_LIGHT_GAIN,
    PROMISES_MORE,
    RESPONSE_BENT,
    RESPONSE_MAYBE_BENT,
)
from runtime.estimation.kernel.blind import BlindEstimate, FirstEstimate, estimate_blind, is_unsure
from runtime.estimation.response import evidence_of_bend
from runtime.inference.devices import download
from runtime.methods.ways import Way, most_promising
from runtime.options import AUTO, Options
from runtime.response import SRGB
from runtime.run import Run

_SAY_ENOUGH = (Reason.FLAT, Reason.NOT_BLURRED)
"""Reasons against a kernel that hold under every response curve."""


@dataclass(eq=False)
class BlindRestoration:
    """What is found in a photograph, each when it is first asked for.

    Attributes
    ----------
    observed
        Float32 ``(C, H, W)``, the photograph as stored.
    guide
        Float32 ``(H, W)``, its luminance.
    initial
        Returns the network's estimate of the latent luminance within a window; ``None`` without a network.
    support
        Side in pixels of the largest kernel.
    run
        On the photograph.
    """

    observed: Array
    guide: Array
    initial: FirstEstimate | None
    support: int
    run: Run[Options]

    @cached_property
    def found(self) -> BlindEstimate:
        """The kernel of the stored values."""
        with self.run.stopwatch("kernel estimate"):
            return estimate_blind(self.guide, self.run, initial=self.initial, support=self.support)

    @cached_property
    def _evidence(self) -> float:
        """What speaks for bent values, by the best kernel that was found in them."""
        return -np.inf if self.found.best is None else self._evidence_by(self.found.best)

    def _evidence_by(self, kernel: Array) -> float:
        return evidence_of_bend(self.guide, self.run, download(kernel).astype(np.float64))

    def restore(self) -> Estimate:
        """Restore the photograph in its values or as light; with doubts, in both, and take what promises more."""
        found, light = self.found, None
        asked = self.run.options.response == AUTO and found.best is not None and found.reason not in _SAY_ENOUGH
        if asked:
            light = self._as_light()
        tried = [light] if light is not None and light.whole.reason is None else []
        # Where light promises little, a kernel is doubtful or lights hide what the values are, both are tried.
        certain = bool(tried) and not is_unsure(found) and _is_certain(tried[0].whole)
        if not certain or (found.lit and self._evidence <= RESPONSE_BENT):
            tried.append(Way(self.observed, self.guide, found, self.run))
        estimate = most_promising(tried, PROMISES_MORE).whole
        if asked and light is None and found.reason is None and estimate.reason is Reason.NOT_UNIFORM:
            # Taken for what was blurred, bent values are explained unevenly by the right kernel, too.
            light = self._as_light(uneven=True)
            if light is not None and light.whole.reason is None and _promises_more(light.whole, estimate):
                return light.whole
        return estimate

    def _as_light(self, *, uneven: bool = False) -> Way | None:
        """Return how to restore the photograph as light under the curve of sRGB; ``None`` if its values are not bent.

        With `uneven`, since the kernel explains the values unevenly, it is not asked whether they are.

        A kernel that explains the values is nearly right for the light too: it tells whether they are bent, and is
        polished. Otherwise, or where that leaves doubts, another one is searched for; without the first one, it has to
        tell the same. Where nothing speaks for the kernel of the light but this, neither its predicted error nor the
        gradients, the values are not bent: the blur of a camera that turned leaves such traces, too. Nor are they where
        the kernel tells it less surely, and is less sure itself in light.

        In two cases the kernel is also tried as it was found in the values. Where lights are clipped, little of all
        this can be told, and what promises more is taken; where the polished kernel is accepted, but polishing has made
        it doubtful, as noise that grows with light can, what promises clearly more.
        """
        found, start = self.found, None
        if found.reason is None and found.best is not None:
            start = found.best.astype(np.float64)
            if not uneven and not found.lit and self._evidence <= RESPONSE_MAYBE_BENT:
                return None
        run, again = self._kernel_of_light(start)
        if start is None:
            if again.reason is None and self._evidence_by(again.kernel) <= RESPONSE_BENT:
                return None
        elif not found.lit and again.log_error > found.log_error + LIGHT_LESS_SURE:
            less_sparse = again.sparsity_gain > (1 + LIGHT_LESS_SPARSE) * found.sparsity_gain
            if less_sparse or not (uneven or self._evidence > RESPONSE_BENT):
                return None
        tried = [Way(self.observed, self.guide, again, run, SRGB)] if again.reason is None else []
        spoiled = again.log_error > found.log_error and is_unsure(again)
        if start is not None and (found.lit or (spoiled and bool(tried) and tried[0].promise.reason is None)):
            tried.append(Way(self.observed, self.guide, found, run, SRGB))
        return most_promising(tried, 0.0 if found.lit else PROMISES_MORE) if tried else None

    def _kernel_of_light(self, start: Kernel | None) -> tuple[Run[Options], BlindEstimate]:
        """Return a run on the light of the photograph, and the kernel found in it, from `start` on if there is one."""
        initial, run = self.initial, self.run.in_light(SRGB, self.guide)
        in_light: FirstEstimate | None = None if initial is None else lambda window: SRGB.to_light(initial(window))
        starts = [] if start is None else [start]
        with run.stopwatch("kernel estimate"):
            light = luminance(SRGB.to_light(self.observed))
            return run, estimate_blind(light, run, initial=in_light, support=self.support, starts=starts)


def _is_certain(light: Estimate) -> bool:
    """Tell whether a restoration of light need not be compared with one of the stored values."""
    return not (is_unsure(light) or (light.gain is not None and light.gain < LITTLE_LIGHT_GAIN))


def _promises_more(light: Estimate, values: Estimate) -> bool:
    """Tell whether a restoration of light promises clearly more than one of the stored values."""
    return light.gain is not None and values.gain is not None and light.gain > values.gain + PROMISES_MORE
