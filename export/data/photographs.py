"""Sharp photographs in memory, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"}
_BLOCK = 16
_BUSY = 2.0
"""Mean absolute difference of neighbouring pixels, in grey levels, from which a block counts as busy."""


def find_photographs(folder: str | Path) -> list[Path]:
    """Return the image files under `folder`, sorted.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    files = sorted(file for file in Path(folder).rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{folder}: no photographs there; give a folder of JPEG, PNG or TIFF files")
    return files


def split(files: Sequence[Path], every: int = 10) -> tuple[list[Path], list[Path]]:
    """Split files into those to train on and those to validate on: every tenth, so never the same image in both."""
    if len(files) < 2:
        raise ValueError("at least two photographs are needed, one to train on and one to validate on")
    validation = list(files[every // 2 :: every]) or [files[-1]]
    return [file for file in files if file not in set(validation)], validation


def read_luminance(file: str | Path) -> np.ndarray:
    """Read a file as BT.601 luma, ``(H, W)`` uint8, orientation applied."""
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("L"))


class Photographs:
    """Grey photographs on one device, and random crops of them, mostly where there are gradients.

    Parameters
    ----------
    planes
        Images ``(H, W)`` uint8, each at least 128 px on either side.
    device
        Where they are kept and cut.
    flat
        Share of crops that are centred on a flat place.
    """

    def __init__(self, planes: Sequence[np.ndarray], device: torch.device | str = "cpu", flat: float = 0.05) -> None:
        places = [_places(plane) for plane in planes]
        starts = np.cumsum([0] + [plane.size for plane in planes])[:-1]
        table = [
            np.column_stack([rows, cols, np.full(rows.size, plane.shape[0]), np.full(rows.size, plane.shape[1]),
                             np.full(rows.size, start), busy])
            for plane, start, (rows, cols, busy) in zip(planes, starts, places, strict=True)
        ]  # fmt: skip
        places_table = torch.from_numpy(np.concatenate(table))
        busy = places_table[:, 5] > 0
        if not busy.any():
            raise ValueError("the photographs are flat everywhere; give others")
        self._busy = places_table[busy].to(device)
        self._flat = places_table[~busy].to(device) if (~busy).any() else self._busy
        self._pixels = torch.from_numpy(np.concatenate([plane.ravel() for plane in planes])).to(device)
        self._share = flat

    @classmethod
    def read(cls, files: Sequence[Path], device: torch.device | str = "cpu", halve: bool = True) -> Photographs:
        """Read files, each also at half size (`halve`), where photographs are at their sharpest."""
        planes = [read_luminance(file) for file in files]
        if halve:
            planes += [_halve(plane) for plane in planes if min(plane.shape) >= 256]
        planes = [plane for plane in planes if min(plane.shape) >= 128]
        if not planes:
            raise ValueError("no photograph is 128 px or more on its shorter side; give larger ones")
        return cls(planes, device)

    def crops(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """Cut squares at random places, turned and mirrored in equal shares.

        Returns
        -------
        Tensor (count, size, size) float32
            Values in [0, 1].
        """
        device = self._pixels.device
        flat = round(self._share * count)
        drawn = [
            table[torch.randint(len(table), (number,), generator=generator, device=device)]
            for table, number in ((self._busy, count - flat), (self._flat, flat))
        ]
        places = torch.cat(drawn)[torch.randperm(count, generator=generator, device=device)]
        jitter = torch.randint(-_BLOCK // 2, _BLOCK // 2, (count, 2), generator=generator, device=device)
        height, width, start = places[:, 2], places[:, 3], places[:, 4]
        if int(torch.minimum(height, width).min()) < size:
            raise ValueError(f"a photograph is smaller than the crops of {size} px; give larger ones")
        row = torch.minimum((places[:, 0] + jitter[:, 0] - size // 2).clamp_(min=0), height - size)
        col = torch.minimum((places[:, 1] + jitter[:, 1] - size // 2).clamp_(min=0), width - size)
        first = start + row * width + col
        lines = first[:, None] + torch.arange(size, device=device) * width[:, None]
        cut = self._pixels.unfold(0, size, 1)[lines.view(-1)].view(count, size, size)
        parts = [_turn(part, way) for way, part in enumerate(cut.chunk(8))]
        return torch.cat(parts).float().mul_(1 / 255)


def _turn(crops: Tensor, way: int) -> Tensor:
    """Rotate and mirror squares in one of the eight ways."""
    if way & 1:
        crops = crops.flip(1)
    if way & 2:
        crops = crops.flip(2)
    return crops.transpose(1, 2) if way & 4 else crops


def _halve(plane: np.ndarray) -> np.ndarray:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    blocks = plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


def _places(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the centres of blocks, and whether the mean gradient of the 3 x 3 blocks around each is large enough."""
    smooth = plane.astype(np.float32)
    gradient = np.abs(np.diff(smooth, axis=0))[:, :-1] + np.abs(np.diff(smooth, axis=1))[:-1]
    rows, cols = gradient.shape[0] // _BLOCK, gradient.shape[1] // _BLOCK
    blocks = gradient[: rows * _BLOCK, : cols * _BLOCK].reshape(rows, _BLOCK, cols, _BLOCK).mean((1, 3))
    padded = np.pad(blocks, 1, mode="edge")
    around = np.mean([padded[i : i + rows, j : j + cols] for i in range(3) for j in range(3)], axis=0)
    row, col = np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij")
    centre = _BLOCK // 2
    return row.ravel() * _BLOCK + centre, col.ravel() * _BLOCK + centre, around.ravel() / 2 >= _BUSY
