"""Eboli et al.: a network estimates the motion at each pixel, and iterative residual compensation removes the blur.

If straight motions do not explain the photograph, for example because the camera moved on a curved path, two other
blurs are estimated: one kernel (`runtime.methods.chakrabarti`), and the poses of a camera that also rotates about its
optical axis. The one with the larger predicted gain is compared with the motion field, and the restoration is returned
that, blurred again, has the smaller misfit to the observed photograph.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from math import hypot
from typing import ClassVar

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
from runtime.estimation.motion.network import MotionNetwork
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


class Eboli:
    """Blind deconvolution of motion blur that varies over the photograph.

    Parameters
    ----------
    bundle
        A network that predicts motions of patches; see `runtime.estimation.motion.network.MotionNetwork`.
    device, precision, batch
        Where and how the network runs; see `runtime.inference.session.open_session`.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset(Options.__dataclass_fields__) - {"neural"}

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
        with run.stopwatch("motion"):
            grid = self._network.grid(guide.shape[0], guide.shape[1], run.options.stride)
            motions = self._network.predict(guide, grid, run.progress)
            field = join(motions, grid)
            motion = upload(field, self._device)
            doubt = find_doubt(field, motions)
        if doubt is not None:
            other = self._restore_without_motion(observed, run)
            return replace(other or Estimate(observed, reason=doubt), motion=motion)
        candidate = Candidate(MotionBlur(motion), MOTION_LOG_ERROR, noise_factor=MOTION_NOISE_FACTOR)
        latent = undo(observed, candidate, run)
        misfit = find_misfit(candidate.blur.apply(luminance(latent)[None])[0], guide)
        unexplained = misfit / hypot(run.noise_of(guide), MOTION_MISFIT_FLOOR) + relative_error(field, motions)
        if unexplained <= MOTION_EXPLAINS:
            found = finish(observed, candidate, run, latent=latent)
        elif unexplained <= MOTION_EXPLAINS_PARTLY:
            found = finish(observed, replace(candidate, noise_factor=MOTION_NOISE_FACTOR_PARTLY), run)
        else:
            other = self._restore_without_motion(observed, run)
            if other is None or other.reason is not None or other.blur is None:
                found = finish(observed, replace(candidate, noise_factor=MOTION_NOISE_FACTOR_POORLY), run)
            elif misfit < find_misfit(other.blur.apply(luminance(other.latent)[None])[0], guide):
                found = finish(observed, candidate, run, latent=latent)
            else:
                found = other
        return replace(found, motion=motion)

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
            found = estimate_poses(luminance(observed), kernel, load_prior(), run)
        if found is None:
            return uniform
        rotated = finish(observed, Candidate(PoseBlur(found.poses), found.log_error), run)
        if rotated.reason is None and (uniform.reason is not None or _gain(rotated) > _gain(uniform)):
            return replace(rotated, initial=uniform.initial)
        return uniform


def _gain(estimate: Estimate) -> float:
    return -np.inf if estimate.gain is None else estimate.gain
