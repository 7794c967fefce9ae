"""Wieschollek et al. 2016: a network fuses the patches of a burst and restores the fused patch.

Two steps of the paper after the network are optional here, because this network does not need them. First, its weights
are smooth already: smoothing them by the Gaussian of Fourier burst accumulation (Section 3.2; `BurstOptions.smoothing`
of 0.02) changed the PSNR by +0.03 dB on the real burst fba_psf and by -0.12 dB on a synthetic one. Second, its filters
do not change frequency 0, so that one filter can be applied to all colours without desaturation: taking the a and b
channels of accumulation (Section 3.3; `BurstOptions.chroma` of ``"fba"``) changed the PSNR over red, green and blue by
+0.04 dB on fba_psf, where some frames are sharp, but by -2.5 and -0.3 dB on synthetic bursts where none is, since
accumulation leaves the colours blurred. Each figure was measured on one crop of 240 or 280 px of a burst, at stride 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from kernels.arrays import Array
from runtime.burst.engine import BurstEngine, NetworkBurstModel
from runtime.burst.sharpness import sharpness
from runtime.colour import with_chroma_of
from runtime.contract import BurstEstimate
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, download
from runtime.methods import fba
from runtime.options import FBA, BurstOptions
from runtime.run import Run

_MAX_FRAMES = 14
"""Largest number of frames used, that of the training; of more frames, the sharpest are used."""


class Wieschollek:
    """Restoration of bursts by a network.

    Parameters
    ----------
    bundle
        A burst model.
    device, precision, batch
        Where and how the network runs; see `runtime.inference.session.open_session` and `BurstEngine`.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset({"p", "stride", "smoothing", "chroma"})

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._engine = BurstEngine(NetworkBurstModel(bundle, device=device, precision=precision), batch=batch)

    def restore_burst(self, frames: Iterable[Array], run: Run[BurstOptions]) -> BurstEstimate:
        """Restore one image from aligned frames, each float32 ``(C, H, W)`` in [0, 1], in any order.

        Raises
        ------
        InvalidArgument
            If the stride is not valid for the model.
        """
        options, frames = run.options, list(frames)
        used = frames
        if len(frames) > _MAX_FRAMES:
            with run.stopwatch("choose"):
                used = sharpest(frames, _MAX_FRAMES)
        latent = self._engine.restore(
            used,
            stride=options.stride,
            smoothing=options.smoothing or 0,
            stopwatch=run.stopwatch,
            progress=run.progress,
        )
        if options.chroma == FBA:
            fused = fba.fuse(frames, run.with_options(smoothing=None)).latent
            with run.stopwatch("chroma"):
                latent = with_chroma_of(latent, fused)
        return BurstEstimate(latent)


def sharpest(frames: Sequence[Array], count: int) -> list[Array]:
    """Return the `count` sharpest frames, in their original order."""
    measured = [sharpness(download(frame)) for frame in frames]
    best = sorted(range(len(frames)), key=measured.__getitem__)[-count:]
    return [frames[index] for index in sorted(best)]
