"""Chakrabarti 2016: a patch network estimates the latent image, from which the blur kernel is estimated.

The observed image is then deconvolved with this kernel. The paper estimates the kernel once (Eq. 5 and 6). By default,
this estimate is one of several hypotheses, which are refined from coarse to fine (`runtime.estimation.kernel.search`),
to be robust to errors of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from kernels.arrays import Array, array_module
from runtime.blur.blurs import KernelBlur
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import CERTAIN_LOG_ERROR
from runtime.errors import InvalidImage
from runtime.estimation.kernel.outliers import find_outliers
from runtime.estimation.kernel.single import check_support, estimate_kernel
from runtime.estimation.sharpness import is_sharp
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.patch_engine import NetworkPatchModel, PatchEngine, plan_patches
from runtime.methods.blind import BlindRestoration
from runtime.methods.uniform import choose_support
from runtime.options import NEURAL, Options
from runtime.preparation.overlays import find_covered
from runtime.response import LINEAR
from runtime.restoration.finish import undo
from runtime.restoration.repair import load_repairer
from runtime.run import Run


class Chakrabarti:
    """Blind deconvolution of one kernel for the whole photograph.

    Parameters
    ----------
    bundle
        A patch model that predicts filters or cores.
    device, precision, batch
        Where and how the network runs; see `runtime.inference.session.open_session` and `PatchEngine`.
    whole
        Whether the network looks at the whole photograph, or only at the part in which a kernel is searched for.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset(Options.__dataclass_fields__) - {"content", "variant"}

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: Device,
        precision: str,
        batch: int | None,
        whole: bool = True,
    ) -> None:
        self._whole = whole
        self._engine = PatchEngine(NetworkPatchModel(bundle, device=device, precision=precision), batch=batch)
        load_repairer(device)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1].

        The kernel is estimated from the luminance; every plane is deconvolved with it. If a single kernel explains the
        photograph but for a few small parts, both is done without these, and they stay as they are.

        Raises
        ------
        InvalidImage
            If the image is smaller than one patch of the network.
        """
        height, width = observed.shape[-2:]
        patch_size, options = self._engine.model.size, run.options
        if min(height, width) < patch_size:
            raise InvalidImage(
                f"the image is {width}x{height}: blind deblurring needs {patch_size} pixels or more on each side; "
                "give a larger crop, or the blur kernel, if you know it, to deconvolve()"
            )
        guide = luminance(observed)
        if options.nonblind == NEURAL:
            return Estimate(
                self._engine.restore(
                    observed, guide=guide, stride=options.stride, stopwatch=run.stopwatch, progress=run.progress
                )
            )
        support = choose_support((height, width), options)
        check_support((height, width), support)
        plan_patches(observed, self._engine.model, options.stride)
        with run.stopwatch("prepare"):
            sharp = options.refine and is_sharp(guide, run.noise_of(guide), run.known, run.saturated)
        if sharp:
            return Estimate(observed, _no_blur(guide), confidence=0.0, reason=Reason.NOT_BLURRED)
        initial = self._first_estimates(guide, run) if options.neural else None
        if not options.refine and initial is not None:
            with run.stopwatch("kernel estimate"):
                kernel = estimate_kernel(guide, initial.whole, support=support, progress=run.progress).kernel
            candidate = Candidate(KernelBlur(kernel), float("nan"))
            return Estimate(undo(observed, candidate, run), candidate.blur, initial.whole)
        estimate = self._restore(observed, guide, initial, support, run)
        return replace(estimate, initial=initial.whole if initial is not None else None)

    def _restore(
        self, observed: Array, guide: Array, initial: FirstEstimates | None, support: int, run: Run[Options]
    ) -> Estimate:
        """Restore the photograph; where a single kernel explains it but for a few parts, without these."""
        first = BlindRestoration(observed, guide, initial, support, run)
        estimate = first.restore()
        if estimate.reason is Reason.NOT_UNIFORM and (best := first.found.best) is not None:
            with run.stopwatch("outliers"):
                outliers = find_outliers(guide, best, run)
            if outliers is not None:
                filled, others = run.leaving_out(outliers, observed)
                others = others.with_options(response=LINEAR.name)
                again = BlindRestoration(filled, luminance(filled), initial, support, others).restore()
                # A kernel that was refused for its restoration may be that of a turn, which explains most parts.
                certain = estimate.gain is None or again.log_error <= CERTAIN_LOG_ERROR
                if again.reason is None and certain and (blur := again.blur) is not None:
                    expected = (blur.apply(plane[None])[0] for plane in again.latent)
                    foreign = find_covered(observed, expected, outliers, run.noise_of(guide))
                    again.latent[:, foreign] = observed[:, foreign]
                    return again
        return estimate

    def _first_estimates(self, guide: Array, run: Run[Options]) -> FirstEstimates:
        """Return the network's estimates of the latent luminance."""
        return FirstEstimates(
            lambda plane: self.first_estimate(plane, run),
            guide,
            whole=self._whole or not run.options.refine,
            narrowest=self._engine.model.size,
        )

    def first_estimate(self, guide: Array, run: Run[Options]) -> Array:
        """Return the network's estimate of the latent luminance (H, W), from the observed luminance `guide`."""
        stride, model = run.options.stride, self._engine.model
        if stride is None and run.options.level.stride_factor != 1:
            stride = min(run.options.level.stride_factor * model.stride, model.core)
        planes = self._engine.restore(guide[None], stride=stride, stopwatch=run.stopwatch, progress=run.progress)
        return planes[0]


class FirstEstimates:
    """Estimates of the latent luminance: of the whole photograph, or within the windows that are asked for.

    Parameters
    ----------
    estimate
        Returns the estimate of a plane (H, W).
    guide
        Observed luminance (H, W).
    whole
        Whether the whole photograph is estimated at once.
    narrowest
        Least side in pixels of a plane that can be estimated; for a smaller window the whole photograph is.

    Attributes
    ----------
    whole : (H, W) array of float32, or None
        The estimate of the whole photograph, if it was made.
    """

    def __init__(self, estimate: Callable[[Array], Array], guide: Array, *, whole: bool, narrowest: int) -> None:
        self._estimate, self._guide, self._narrowest = estimate, guide, narrowest
        self._made: dict[tuple[int, int, int, int], Array] = {}
        self.whole = estimate(guide) if whole else None

    def __call__(self, window: tuple[slice, slice]) -> Array:
        """Return the estimate within a window, each made once."""
        rows, cols = window
        if self.whole is None and min(rows.stop - rows.start, cols.stop - cols.start) < self._narrowest:
            self.whole = self._estimate(self._guide)
        if self.whole is not None:
            return self.whole[window]
        place = rows.start, rows.stop, cols.start, cols.stop
        if place not in self._made:
            self._made[place] = self._estimate(array_module(self._guide).ascontiguousarray(self._guide[window]))
        return self._made[place]


def _no_blur(guide: Array) -> KernelBlur:
    """Return the blur of one point, on the device of an array."""
    return KernelBlur(array_module(guide).ones((1, 1), np.float32))
