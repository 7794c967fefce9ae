"""One kernel or a motion at each pixel, by what explains the photograph.

One kernel is searched for first (`runtime.methods.chakrabarti`). If there is none, or the restoration by it, blurred
again, is far from what was observed, the camera or the scene may have moved otherwise: the motion at each pixel
(`runtime.methods.eboli`) is used if it explains the photograph and is predicted to bring a gain. Where it is not, and
the kernel is doubtful, a second search for one kernel follows, whose kernel has to explain the photograph, or to be
certain where lights are clipped. After a refusal it has to be sure, or to promise much.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import hypot
from typing import ClassVar

from kernels.arrays import Array
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    CERTAIN_LOG_ERROR,
    MOTION_EXPLAINS_PARTLY,
    MOTION_MISFIT_FLOOR,
    MUCH_GAIN,
    MUCH_LESS,
    PROMISES_MORE,
    UNEXPLAINED,
)
from runtime.deconvolution.saturation import LIT, apart_from_lights, has_lights, unsaturated
from runtime.estimation.kernel.blind import is_unsure, surer
from runtime.estimation.sharpness import is_sharp
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device
from runtime.methods.chakrabarti import Chakrabarti
from runtime.methods.eboli import Eboli, choose_noise_factor, finish_motion
from runtime.options import Options
from runtime.restoration.misfit import find_misfit
from runtime.run import Run

_UNIFORM, _MOTION = "chakrabarti", "eboli"
"""Names of the models for one kernel and for a motion at each pixel."""


class Auto:
    """Blind deconvolution that finds out what kind of blur a photograph has.

    Parameters
    ----------
    bundle
        Not used: the networks are those of other models.
    device, precision, batch
        Where and how they run; see `runtime.inference.session.open_session`.
    """

    supported_options: ClassVar[frozenset[str]] = Chakrabarti.supported_options

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._device, self._precision, self._batch = device, precision, batch
        self._uniform = Chakrabarti(load_model(_UNIFORM), device=device, precision=precision, batch=batch, whole=False)

    @cached_property
    def _moving(self) -> Eboli:
        return Eboli(load_model(_MOTION), device=self._device, precision=self._precision, batch=self._batch)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1].

        Options that only one kernel has leave motions out: a method of deconvolution, a kernel that is not refined, and
        no networks.

        Raises
        ------
        InvalidImage
            If the image is smaller than one patch of the network for one kernel.
        """
        options = run.options
        if options.nonblind is not None or not options.refine or not options.neural:
            return self._uniform.restore(observed, run)
        # A second search would find a kernel that explains more of a motion, but not what a motion explains.
        uniform = self._uniform.restore(observed, replace(run, search="first"))
        guide = luminance(observed)
        misfit, explained = _misfit(uniform, guide, run), UNEXPLAINED * hypot(run.noise_of(guide), MOTION_MISFIT_FLOOR)
        if misfit > explained:
            found = self._restore_motion(observed, guide, uniform, misfit, run)
            if found is not None:
                return found
        if options.level.search.second is None or not is_unsure(uniform):
            return uniform
        del guide  # The second search has its own, and a large photograph leaves no room for both.
        again = self._uniform.restore(observed, replace(run, search="second"))
        guide = luminance(observed)
        # Of what lights have changed even the right kernel leaves a misfit: one that is certain is believed with it.
        certain = again.log_error <= CERTAIN_LOG_ERROR and bool(has_lights(guide, run.saturated))
        return _better(uniform, again) if certain or _misfit(again, guide, run) <= explained else uniform

    def _restore_motion(
        self, observed: Array, guide: Array, uniform: Estimate, misfit: float, run: Run[Options]
    ) -> Estimate | None:
        """Undo a motion at each pixel where the misfit of one kernel leaves room for it; ``None`` if it brings none."""
        if uniform.reason is Reason.FLAT:
            return None
        if uniform.reason is Reason.NOT_BLURRED and is_sharp(guide, run.noise_of(guide), run.known, run.saturated):
            return None
        moved = self._moving.undo_motion(observed, guide, run.with_options(stride=None))
        if moved.ratio > MOTION_EXPLAINS_PARTLY or MUCH_LESS * moved.misfit >= misfit:
            return None
        found = finish_motion(observed, guide, moved, choose_noise_factor(moved.ratio), run)
        return found if found.reason is None else None


def _better(first: Estimate, second: Estimate) -> Estimate:
    """Return the second restoration after a refusal, if it was accepted and promises much.

    Otherwise that which promises clearly more, if both were accepted; else that with the surer kernel.
    """
    if first.reason is not None and second.reason is None and (second.gain or 0.0) >= MUCH_GAIN:
        return second
    if first.gain is None or second.gain is None or first.reason is not None or second.reason is not None:
        return surer(first, second)
    if abs(first.gain - second.gain) <= PROMISES_MORE:
        return surer(first, second)
    return first if first.gain > second.gain else second


def _misfit(estimate: Estimate, guide: Array, run: Run[Options]) -> float:
    """Return the misfit of a restoration that was accepted, blurred again; infinite if none was."""
    if estimate.reason is not None or estimate.blur is None:
        return float("inf")
    restored = estimate.response.to_light(luminance(estimate.latent))
    blurred = estimate.response.from_light(estimate.blur.apply(restored[None])[0])
    # What is beside clipped pixels, light of lamps has changed that nobody can tell exactly.
    known = unsaturated(guide, run.saturated, 1 + LIT) & apart_from_lights(guide, run.saturated)
    return find_misfit(blurred, guide, known if run.known is None else known & run.known)
