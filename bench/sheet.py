"""A contact sheet: each case a line of pictures, input first and truth last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from bench.datasets import Sample
from bench.evaluation import Result

WIDTH = 256
INSET = 64
CAPTION = 16
GAP = 4


class Sheet:
    """Collects cases and writes them as one picture."""

    def __init__(self) -> None:
        self._lines: list[Image.Image] = []

    def add(
        self, name: str, sample: Sample, results: Mapping[str, Result], scores: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Add one case: every result, its kernel inset, then the sharp image.

        Parameters
        ----------
        name
            Caption of the line.
        sample, results, scores
            The case, and what became of it, by method.
        """
        pictures = [
            _picture(result.image, result.kernel, f"{method} {scores[method]['psnr']:.2f} dB")
            for method, result in results.items()
        ]
        pictures.append(_picture(sample.sharp, None, name))
        width = sum(picture.width + GAP for picture in pictures) - GAP
        line = Image.new("L", (width, max(picture.height for picture in pictures)), 255)
        for number, picture in enumerate(pictures):
            line.paste(picture, (number * (WIDTH + GAP), 0))
        self._lines.append(line)

    def write(self, file: Path) -> None:
        """Write the sheet in the format of the file's suffix."""
        height = sum(line.height + GAP for line in self._lines)
        sheet = Image.new("L", (max(line.width for line in self._lines), height), 255)
        top = 0
        for line in self._lines:
            sheet.paste(line, (0, top))
            top += line.height + GAP
        sheet.save(file)


def _picture(plane: npt.NDArray[np.floating], kernel: npt.NDArray[np.floating] | None, caption: str) -> Image.Image:
    """Scale a plane to `WIDTH`, with its kernel at the lower right and a caption above."""
    height = round(WIDTH * plane.shape[0] / plane.shape[1])
    picture = Image.new("L", (WIDTH, height + CAPTION), 255)
    ImageDraw.Draw(picture).text((2, 1), caption, fill=0)
    picture.paste(_grey(plane, 1.0).resize((WIDTH, height), Image.Resampling.LANCZOS), (0, CAPTION))
    if kernel is not None:
        inset = _grey(kernel, float(kernel.max())).resize((INSET, INSET), Image.Resampling.NEAREST)
        picture.paste(inset, (WIDTH - INSET, CAPTION + height - INSET))
    return picture


def _grey(plane: npt.NDArray[np.floating], white: float) -> Image.Image:
    return Image.fromarray(np.rint(255 * np.clip(plane / white, 0, 1)).astype(np.uint8))
