"""The bank of linear motions: inverse filters of the 511 motions of Eboli et al., section 2.2, as a bundle.

``python -m export.eboli.bank --out runtime/models/eboli-bank``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runtime.blur.inverse import PENALTY, inverse_filter, normal_spectrum
from runtime.blur.motion import ANGLES, LENGTHS, motion_kernel
from runtime.inference.bundle import Bundle, write_bundle


def export_bank(folder: str | Path, lengths: Sequence[int] = tuple(LENGTHS.tolist())) -> Bundle:
    """Compute the inverse filters of all motions and write them as a bundle.

    Its constants ``inverse`` hold for each length `l` an array ``length_l``, float16 ``(angles, side, side)``; there
    is one angle for a length of 1, which has none.

    Parameters
    ----------
    folder
        Where the bundle goes.
    lengths
        Lengths of the motions in pixels; all of the bank by default.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    filters, distances = {}, []
    for length in lengths:
        stack = []
        for angle in ANGLES if length > 1 else ANGLES[:1]:
            kernel = motion_kernel(length, angle)
            stack.append(inverse_filter(kernel).astype(np.float16))
            distances.append(distance_to_delta(kernel, stack[-1].astype(np.float32)))
        filters[f"length_{length}"] = np.stack(stack)
    np.savez_compressed(path / "inverse.npz", **filters)  # type: ignore[arg-type]
    return write_bundle(
        path,
        {
            "name": "eboli-bank",
            "version": "1",
            "method": "irc",
            "description": f"Inverse filters of {len(distances)} linear motions of {lengths[0]} to {lengths[-1]} px",
            "licence": "Apache-2.0",
            "constants": {"inverse": "inverse.npz"},
            "values": {"range": [0, 1], "colour": "channels"},
            "training": {"data": [], "samples": 0, "config": {"penalty": PENALTY}},
            "accuracy": {
                "mean_distance_to_delta": round(float(np.mean(distances)), 4),
                "largest_distance_to_delta": round(max(distances), 4),
            },
        },
    )


def distance_to_delta(kernel: np.ndarray, inverse: np.ndarray) -> float:
    """Return the Euclidean distance of ``sum_i d_i * k_i`` from a delta, whose norm is 1."""
    side = 2 * (inverse.shape[0] + 2 * max(kernel.shape))
    middle = inverse.shape[0] // 2
    plane = np.zeros((side, side))
    plane[: inverse.shape[0], : inverse.shape[1]] = inverse
    spectrum = np.fft.rfft2(np.roll(plane, (-middle, -middle), (0, 1))) * normal_spectrum(kernel, (side, side))
    error = np.fft.irfft2(spectrum, s=(side, side))
    error[0, 0] -= 1
    return float(np.linalg.norm(error))


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute the inverse filters of the bank of linear motions and write their bundle."""
    parser = argparse.ArgumentParser(prog="python -m export.eboli.bank", description=main.__doc__)
    parser.add_argument("--out", required=True, type=Path, help="folder of the bundle")
    bundle = export_bank(parser.parse_args(arguments).out)
    print(f"wrote {bundle.path}, {bundle.bytes / 1e6:.1f} MB: {bundle.accuracy}")


if __name__ == "__main__":
    main()
