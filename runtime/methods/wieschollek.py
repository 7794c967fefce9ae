"""Wieschollek et al. 2016: a network fuses the patches of a burst and restores the fused patch.

Two of the paper's steps after the network are options, because they are not needed here. Its weights are smooth as
they come: smoothing them by the Gaussian of Fourier burst accumulation (Section 3.2; `BurstOptions.smoothing` of 0.02)
changed the PSNR by +0.03 dB on the real burst fba_psf and by -0.12 dB on a synthetic one. And its filters leave
frequency 0 as it is, so that one filter serves all colours and none is desaturated: the a and b channels of
accumulation (Section 3.3; `BurstOptions.chroma` of ``"fba"``) changed the PSNR over red, green and blue by +0.04 dB on
fba_psf, where some frames are sharp, but by -2.5 and -0.3 dB on synthetic bursts where none is, since accumulation
leaves the colours blurred. All of this on one part of 240 or 280 px of a burst each, at stride 11.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from kernels.arrays import Array
from runtime.burst.engine import BurstEngine, NetworkBurstModel
from runtime.burst.registration import sharpness
from runtime.colour import with_chroma_of
from runtime.contract import BurstEstimate
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device, download
from runtime.methods import fba
from runtime.options import FBA, BurstOptions
from runtime.run import Run

FRAMES = 14
"""Most frames that are used, as many as the network was trained on; of more the sharpest."""


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
        """Restore ``(C, H, W)`` float32 planes from aligned frames of that shape, in any order.

        Raises
        ------
        InvalidArgument
            If the stride does not fit the model.
        """
        options, frames = run.options, list(frames)
        used = frames
        if len(frames) > FRAMES:
            with run.stopwatch("choose"):
                used = sharpest(frames, FRAMES)
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
    """Return the `count` sharpest frames, in the order given."""
    measured = [sharpness(download(frame)) for frame in frames]
    best = sorted(range(len(frames)), key=measured.__getitem__)[-count:]
    return [frames[index] for index in sorted(best)]
