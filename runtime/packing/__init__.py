"""Packing: anybody's network from patches to patches becomes a bundle that the runtime runs like its own.

* `pack`: looks at an ONNX network, tries it, and writes the bundle: `pack_network`, `Packed`.
* `network`: what a network takes and gives. `trials`: the sizes and batches that it takes. `reach`: its receptive field
  and the seams between its patches.
"""

from __future__ import annotations

from runtime.packing.pack import Packed, Packing, pack_network

__all__ = ["Packed", "Packing", "pack_network"]
