"""Eboli et al.: a network estimates the motion at each pixel, and iterative residual compensation removes the blur.

If straight motions do not explain the photograph, for example because the camera moved on a curved path, two other
blurs are estimated: one kernel (`runtime.methods.chakrabarti`), and the poses of a camera that also rotates about its
optical axis. The one with the larger predicted gain is compared with the motion field, and the restoration is returned
that, blurred again, has the smaller misfit to the observed photograph.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import hypot, inf
from typing import ClassVar, NamedTuple

import numpy as np

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur, MotionBlur, PoseBlur
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.decisions.reasons import Reason
from runtime.decisions.thresholds import (
    MOTION_EXPLAINS,
    MOTION_EXPLAINS_PARTLY,
    MOTION_LOG_ERROR,
    MOTION_MISFIT_FLOOR,
    MOTION_NOISE_FACTOR,
    MOTION_NOISE_FACTOR_PARTLY,
    MOTION_NOISE_FACTOR_POORLY,
)
from runtime.errors import InvalidArgument, InvalidImage
from runtime.estimation.kernel.prior import load_prior
from runtime.estimation.motion.field import find_doubt, join, relative_error
from runtime.estimation.motion.network import Floats, MotionNetwork, PatchMotions
from runtime.estimation.poses.search import estimate_poses
from runtime.inference.bundle import Bundle, load_model
from runtime.inference.devices import Device, download, upload
from runtime.methods.chakrabarti import Chakrabarti
from runtime.options import Options
from runtime.restoration.finish import finish, undo
from runtime.restoration.misfit import find_misfit
from runtime.run import Run

_UNIFORM_MODEL = "chakrabarti"
"""Name of the model that estimates one kernel for the whole photograph."""


class UndoneMotion(NamedTuple):
    """A motion at each pixel, and the photograph without it, before it is decided whether to use either.

    Attributes
    ----------
    motion : (H, W, 2) array of float32
    doubt : Reason, optional
        Why the motion cannot be undone.
    latent : (C, H, W) array of float32
        The photograph at `MOTION_NOISE_FACTOR`; as it was observed, if there is a doubt.
    misfit : float
        Of that, blurred again; infinite if there is a doubt.
    ratio : float
        How poorly the motion explains the photograph; see `misfit_ratio`.
    """

    motion: Array
    doubt: Reason | None
    latent: Array
    misfit: float
    ratio: float


class Eboli:
    """Blind deconvolution of motion blur that varies over the photograph.

    Parameters
    ----------
    bundle
        A network that predicts motions of patches; see `runtime.estimation.motion.network.MotionNetwork`.
    device, precision, batch
        Where and how the network runs; see `runtime.inference.session.open_session`.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset(Options.__dataclass_fields__) - {
        "neural",
        "content",
        "variant",
    }

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._device, self._precision = device, precision
        self._network = MotionNetwork(bundle, device=device, precision=precision, batch=batch)

    @cached_property
    def _uniform(self) -> Chakrabarti:
        return Chakrabarti(load_model(_UNIFORM_MODEL), device=self._device, precision=self._precision, batch=None)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph of any size, float32 ``(C, H, W)`` in [0, 1]; motion is estimated from the luminance.

        Raises
        ------
        InvalidArgument
            If another deconvolution method than ``"irc"`` is requested.
        """
        if run.options.nonblind not in (None, "irc"):
            raise InvalidArgument(f"nonblind {run.options.nonblind!r}: this model supports irc only")
        guide = luminance(observed)
        found = self.undo_motion(observed, guide, run)
        if found.doubt is not None:
            other = self._restore_without_motion(observed, run)
            return replace(other or Estimate(observed, reason=found.doubt), motion=found.motion)
        factor = choose_noise_factor(found.ratio)
        if found.ratio > MOTION_EXPLAINS_PARTLY:
            other = self._restore_without_motion(observed, run)
            if other is not None and other.reason is None and other.blur is not None:
                blurred = other.blur.apply(luminance(other.latent)[None])[0]
                if found.misfit >= find_misfit(blurred, guide, run.known):
                    return replace(other, motion=found.motion)
                factor = MOTION_NOISE_FACTOR
        return finish_motion(observed, guide, found, factor, run)

    def undo_motion(self, observed: Array, guide: Array, run: Run[Options]) -> UndoneMotion:
        """Estimate the motion of a photograph and undo it, without deciding whether to use the result.

        Parameters
        ----------
        observed : (C, H, W) array of float32
        guide : (H, W) array of float32
            Its luminance.
        run : Run
        """
        field, motions = self.estimate_motion(guide, run)
        motion = upload(field, self._device)
        doubt = find_doubt(field, motions)
        if doubt is not None:
            return UndoneMotion(motion, doubt, observed, inf, inf)
        candidate = _candidate(motion, MOTION_NOISE_FACTOR)
        latent = undo(observed, candidate, run)
        misfit = find_misfit(candidate.blur.apply(luminance(latent)[None])[0], guide, run.known)
        ratio = misfit_ratio(misfit, run.noise_of(guide), relative_error(field, motions))
        return UndoneMotion(motion, None, latent, misfit, ratio)

    def estimate_motion(self, guide: Array, run: Run[Options]) -> tuple[Floats, PatchMotions]:
        """Estimate the motion field of a photograph, without deciding whether to undo it.

        Parameters
        ----------
        guide : (H, W) array of float32
            Observed luminance, values in [0, 1], on the method's device.
        run : Run
            Its stopwatch counts the time as ``"motion"``.

        Returns
        -------
        field : array (H, W, 2) float32
            In host memory; see `runtime.estimation.motion.field.join`.
        motions : PatchMotions
            What the network predicts for each patch.
        """
        with run.stopwatch("motion"):
            grid = self._network.grid(guide.shape[0], guide.shape[1], run.options.stride)
            motions = self._network.predict(guide, grid, run.progress)
            return join(motions, grid), motions

    def _restore_without_motion(self, observed: Array, run: Run[Options]) -> Estimate | None:
        """Restore a photograph with one kernel or the poses of a camera; ``None`` if it is too small for a kernel."""
        try:
            uniform = self._uniform.restore(observed, run.with_options(stride=None))
        except InvalidImage:
            return None
        if uniform.reason in (Reason.FLAT, Reason.NOT_BLURRED):
            return uniform
        kernel = None
        # A kernel that was rejected without a predicted gain does not indicate the size of the blur.
        if isinstance(uniform.blur, KernelBlur) and (uniform.reason is None or uniform.gain is not None):
            kernel = download(uniform.blur.kernel).astype(np.float64)
        with run.stopwatch("poses"):
            found = estimate_poses(luminance(observed), kernel, load_prior(run.device), run)
        if found is None:
            return uniform
        rotated = finish(observed, Candidate(PoseBlur(found.poses), found.log_error), run)
        if rotated.reason is None and (uniform.reason is not None or _gain(rotated) > _gain(uniform)):
            return replace(rotated, initial=uniform.initial)
        return uniform


def finish_motion(observed: Array, guide: Array, undone: UndoneMotion, factor: float, run: Run[Options]) -> Estimate:
    """Restore a photograph with a motion at a factor on its noise level, and accept the result or reject it."""
    latent = undone.latent.copy() if factor == MOTION_NOISE_FACTOR else None
    found = finish(observed, _candidate(undone.motion, factor), run, guide=guide, latent=latent)
    return replace(found, motion=undone.motion)


def _candidate(motion: Array, factor: float) -> Candidate:
    return Candidate(MotionBlur(motion), MOTION_LOG_ERROR, noise_factor=factor)


def misfit_ratio(misfit: float, noise: float, relative_error: float) -> float:
    """Return how poorly a motion field explains a photograph: about 1 for a correct field, more for a wrong one.

    Parameters
    ----------
    misfit : float
        Of the photograph restored at `MOTION_NOISE_FACTOR` and blurred again; see `find_misfit`.
    noise : float
        Standard deviation of the photograph's noise, in units of the value range.
    relative_error : float
        Predicted error of the motions; see `runtime.estimation.motion.field.relative_error`.
    """
    return misfit / hypot(noise, MOTION_MISFIT_FLOOR) + relative_error


def choose_noise_factor(ratio: float) -> float:
    """Return the factor on the noise level for deconvolution with a motion field of this `misfit_ratio`."""
    if ratio <= MOTION_EXPLAINS:
        return MOTION_NOISE_FACTOR
    return MOTION_NOISE_FACTOR_PARTLY if ratio <= MOTION_EXPLAINS_PARTLY else MOTION_NOISE_FACTOR_POORLY


def _gain(estimate: Estimate) -> float:
    return -np.inf if estimate.gain is None else estimate.gain
