"""What all methods that estimate one kernel share."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from kernels.arrays import Array
from runtime.blur.blurs import KernelBlur
from runtime.blur.kernel import Kernel
from runtime.colour import luminance
from runtime.contract import Candidate, Estimate
from runtime.errors import InvalidImage
from runtime.estimation.kernel.blind import BlindEstimate, estimate_blind
from runtime.inference.devices import upload
from runtime.inference.progress import Progress
from runtime.options import Options
from runtime.response import LINEAR, Response
from runtime.restoration.finish import finish, undo
from runtime.run import Run
from runtime.tiles import bands

_SUPPORT = 85
"""Side in pixels of the largest kernel to estimate, if the photograph is large enough."""
_PAPER_SUPPORT = 51
"""The same for the single estimate of Chakrabarti 2016, "as is standard for the benchmark" (section 3)."""


class KernelFinder(Protocol):
    """What finds kernels without a search: a network on a device."""

    def smallest(self) -> int:
        """Return the least side in pixels of a photograph of which a kernel is estimated."""

    def estimate_alone(self, luminance: Array, support: int | None, progress: Progress | None) -> Array:
        """Estimate the kernel of a photograph, to be used as it is."""

    def starts(self, luminance: Array, support: int, progress: Progress | None) -> list[Kernel]:
        """Estimate kernels that may be nearly right, to be polished."""


def restore_by_network(observed: Array, guide: Array, finder: KernelFinder, run: Run[Options]) -> Estimate:
    """Restore a photograph with a kernel that a network finds; search for one only where that leaves doubts.

    Without `Options.refine` the kernel is used as the network found it, and nothing is judged.

    Parameters
    ----------
    observed : (C, H, W) array of float32
        The photograph, values in [0, 1].
    guide : (H, W) array of float32
        Its luminance.
    finder
        The network.
    run : Run
        Its stopwatch measures ``"kernel network"`` and ``"kernel estimate"``, beside what `finish` does.

    Raises
    ------
    InvalidImage
        If the photograph is too small for the network.
    """
    require_size(guide, finder.smallest())
    if not run.options.refine:
        with run.stopwatch("kernel network"):
            kernel = finder.estimate_alone(guide, run.options.support, run.progress)
        blur = KernelBlur(upload(kernel, run.device), kernel)
        return Estimate(undo(observed, Candidate(blur, float("nan")), run), blur)
    support = choose_support(guide.shape, run.options)
    with run.stopwatch("kernel network"):
        starts = finder.starts(guide, support, run.progress)
    with run.stopwatch("kernel estimate"):
        found = estimate_blind(guide, run, support=support, starts=starts)
    return restore_with(observed, guide, found, run)


def require_size(guide: Array, smallest: int) -> None:
    """Check that a photograph (H, W) has the pixels a side that a network needs.

    Raises
    ------
    InvalidImage
        If it is too small.
    """
    if min(guide.shape) < smallest:
        raise InvalidImage(
            f"the image is {guide.shape[1]}x{guide.shape[0]}: this model needs {smallest} pixels or more on each "
            "side; give a larger crop, or the blur kernel, if you know it, to deconvolve()"
        )


def restore_with(
    observed: Array, guide: Array, found: BlindEstimate, run: Run[Options], response: Response = LINEAR
) -> Estimate:
    """Restore a photograph with the kernel that was found; if it was refused, return the photograph and the reason.

    Parameters
    ----------
    observed : (C, H, W) array of float32
        The photograph, values in [0, 1].
    guide : (H, W) array of float32
        Its luminance.
    found : BlindEstimate
        The kernel.
    run : Run
        On the photograph, or on its light.
    response
        The curve from the light that was blurred to the values of the photograph, which the restoration has too.
    """
    blur = KernelBlur(found.kernel, found.best if found.reason is None else None)
    if found.reason is not None:
        return Estimate(observed, blur, confidence=found.confidence, reason=found.reason, log_error=found.log_error)
    candidate = Candidate(blur, found.log_error, found.confidence)
    if response.linear:
        return finish(observed, candidate, run, guide=guide)
    light = response.to_light(observed)
    latent, light_guide = undo(light, candidate, run), luminance(light)
    del light  # What follows needs as much memory again.
    estimate = replace(finish(observed, candidate, run, guide=light_guide, latent=latent), response=response)
    if estimate.reason is None:
        for band in bands(guide.shape):
            estimate.latent[:, band] = response.from_light(estimate.latent[:, band])
    return estimate


def choose_support(shape: tuple[int, int], options: Options) -> int:
    """Return the largest side of the kernel in pixels, odd unless the caller set it.

    Parameters
    ----------
    shape
        Height and width of the photograph; the side is less than half of the smaller one.
    options
        Those of the call.
    """
    largest = _SUPPORT if options.refine else _PAPER_SUPPORT
    return options.support or min(largest, (min(shape) // 2 - 1) | 1)
