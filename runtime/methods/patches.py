"""Any network from patches to patches, as `runtime.packing` writes it: it restores, and nothing is added.

Such a network may remove blur, noise or rain: what the photograph suffers from is not known, and no blur is estimated.
So nothing is said of the gain, and the result is the network's own.
"""

from __future__ import annotations

from typing import ClassVar

from kernels.arrays import Array
from runtime.colour import luminance
from runtime.contract import Estimate
from runtime.inference.bundle import Bundle
from runtime.inference.devices import Device
from runtime.inference.planes import PlanesEngine, open_planes_model
from runtime.options import Options
from runtime.run import Run


class Patches:
    """A network from patches to patches, run over the whole photograph.

    Parameters
    ----------
    bundle
        A bundle whose part ``network`` is such a network; see `runtime.inference.planes.PixelAssumptions`.
    device, precision, batch
        Where and how the network runs; see `runtime.inference.session.open_session` and `PlanesEngine`.
    """

    supported_options: ClassVar[frozenset[str]] = frozenset({"quality", "stride"})
    expects_blur: ClassVar[bool] = False

    def __init__(self, bundle: Bundle, *, device: Device, precision: str, batch: int | None) -> None:
        self._engine = PlanesEngine(open_planes_model(bundle, device=device, precision=precision), batch=batch)

    def restore(self, observed: Array, run: Run[Options]) -> Estimate:
        """Restore a photograph, float32 ``(C, H, W)`` in [0, 1], of any size.

        Patches lie as far apart as `Options.stride` or the model says, and twice as far, but not beyond a core, at
        quality ``"fast"``.
        """
        model, stride = self._engine.model, run.options.stride
        if stride is None:
            stride = min(run.options.level.stride_factor * model.geometry.stride, model.geometry.core)
        if model.pixels.colour == "y" and len(observed) == 3:
            luma = luminance(observed)[None]
            change = self._engine.restore(luma, stride=stride, stopwatch=run.stopwatch, progress=run.progress)
            change -= luma
            return Estimate(observed + change)
        return Estimate(self._engine.restore(observed, stride=stride, stopwatch=run.stopwatch, progress=run.progress))
