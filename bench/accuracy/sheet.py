"""Contact sheets: blurred, restored and sharp images of a set side by side, with the blur kernels."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bench.accuracy.evaluation import BLURRED, TRUE_KERNEL, UNAIDED, WHOLE, Result, headline_method
from bench.accuracy.scoring import MAX_PSNR
from bench.data.datasets import Sample

CASES = 8
"""Largest number of cases on one sheet."""
_BLOCKS = 2
"""Number of columns of cases, used from `_BLOCKS` squared cases on."""
WIDTH, HEIGHT = 320, 240
"""Size of one picture, the middle of the photograph."""
_LARGEST_CROP = 1.5
"""Largest number of photograph pixels per picture pixel: the crop is not shrunk further, so that details show."""
CAPTION, _FONT = 20, 13
INSET = 72
GAP = 6
MAX_BYTES = 600_000
_FAINT = 0.02
"""Share of a kernel's maximum from which a pixel counts for the crop of the inset."""

Kernel = npt.NDArray[np.float32]


def shown_cases(count: int) -> list[int]:
    """Return the indices of the cases that a sheet shows: all, or `CASES` of them, evenly spread."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(CASES, count))})


def draw_case(
    name: str, sample: Sample, results: Mapping[str, Result], scores: Mapping[str, Mapping[str, Any]]
) -> Image.Image:
    """Draw one case: input, result and, if known, the sharp image, with the estimated and the true kernel.

    Parameters
    ----------
    name
        Caption of the input.
    sample, results, scores
        The case, and its results and scores by method; the result of `headline_method` is shown.

    Returns
    -------
    Image
        RGB, ``HEIGHT + CAPTION`` high.
    """
    method = headline_method(results)
    kernels = [kernel for kernel in (results[method].kernel, sample.kernel) if kernel is not None]
    side = max((_extent(kernel) for kernel in kernels), default=0)
    pictures = [
        _picture(sample.view(sample.observed), None, side, f"{name}{_decibels(scores[BLURRED])}"),
        _picture(results[method].image, results[method].kernel, side, _result_caption(method, scores[method])),
    ]
    # Samples of the set `harmless` are their own sharp image, which need not be shown twice.
    if sample.sharp is not None and sample.sharp is not sample.observed:
        ideal = f", its kernel{_decibels(scores[TRUE_KERNEL])}" if TRUE_KERNEL in scores else ""
        pictures.append(_picture(sample.sharp, sample.kernel, side, f"truth{ideal}"))
    return _beside(pictures)


def write_sheet(file: Path, cases: list[Image.Image]) -> None:
    """Write drawn cases below each other, in `_BLOCKS` columns if there are many, as a JPEG.

    The JPEG quality is lowered in steps from 90 to 30 until the file has at most `MAX_BYTES`.

    Raises
    ------
    ValueError
        If `cases` is empty.
    """
    if not cases:
        raise ValueError("a sheet of no cases: draw one or more")
    blocks = _BLOCKS if len(cases) >= _BLOCKS**2 else 1
    lines = [_beside(cases[start : start + blocks], 4 * GAP) for start in range(0, len(cases), blocks)]
    size = max(line.width for line in lines), sum(line.height + GAP for line in lines) - GAP
    sheet = Image.new("RGB", (size[0] + 2 * GAP, size[1] + 2 * GAP), "white")
    top = GAP
    for line in lines:
        sheet.paste(line, (GAP, top))
        top += line.height + GAP
    for quality in range(90, 25, -10):
        content = BytesIO()
        sheet.save(content, "JPEG", quality=quality, optimize=True)
        if content.tell() <= MAX_BYTES:
            break
    file.write_bytes(content.getvalue())


def _beside(pictures: list[Image.Image], gap: int = GAP) -> Image.Image:
    line = Image.new(
        "RGB",
        (sum(picture.width + gap for picture in pictures) - gap, max(picture.height for picture in pictures)),
        "white",
    )
    left = 0
    for picture in pictures:
        line.paste(picture, (left, 0))
        left += picture.width + gap
    return line


def _picture(image: npt.NDArray[np.floating], kernel: Kernel | None, side: int, caption: str) -> Image.Image:
    """Crop the middle of an image to `WIDTH` and `HEIGHT`, with its kernel at the lower right and a caption above."""
    height, width = image.shape[:2]
    scale = min(width / WIDTH, height / HEIGHT, _LARGEST_CROP)
    left, top = (width - scale * WIDTH) / 2, (height - scale * HEIGHT) / 2
    middle = left, top, left + scale * WIDTH, top + scale * HEIGHT
    picture = Image.new("RGB", (WIDTH, HEIGHT + CAPTION), "white")
    resized = _bytes(image, 1.0).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box=middle)
    picture.paste(resized, (0, CAPTION))
    pen = ImageDraw.Draw(picture)
    pen.text((2, 2), caption, fill="black", font=ImageFont.load_default(_FONT))
    if kernel is not None:
        inset = _bytes(_centred(kernel, side), float(kernel.max()))
        corner = WIDTH - INSET, CAPTION + HEIGHT - INSET
        picture.paste(inset.resize((INSET, INSET), Image.Resampling.NEAREST), corner)
        pen.rectangle([corner[0] - 1, corner[1] - 1, WIDTH - 1, CAPTION + HEIGHT - 1], outline="white")
    return picture


def _bytes(image: npt.NDArray[np.floating], white: float) -> Image.Image:
    return Image.fromarray(np.rint(255 * np.clip(image / white, 0, 1)).astype(np.uint8))


def _bounds(kernel: Kernel) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(kernel > _FAINT * kernel.max())
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def _extent(kernel: Kernel) -> int:
    """Return the side of a square that holds the visible part of a kernel, with a margin of one pixel."""
    top, bottom, left, right = _bounds(kernel)
    return max(bottom - top, right - left) + 2


def _centred(kernel: Kernel, side: int) -> Kernel:
    """Cut a square out of a kernel, centred on its visible part: kernels are only known up to translation."""
    top, bottom, left, right = _bounds(kernel)
    padded = np.pad(kernel, side)
    row, column = side + (top + bottom - side) // 2, side + (left + right - side) // 2
    return padded[row : row + side, column : column + side]


def _decibels(scores: Mapping[str, Any]) -> str:
    return f" {scores['psnr']:.2f} dB" if scores.get("psnr", MAX_PSNR) < MAX_PSNR else ""


def _result_caption(method: str, scores: Mapping[str, Any]) -> str:
    caption = "left as it is" if scores.get("unchanged") else "restored" if method in (WHOLE, UNAIDED) else method
    caption += _decibels(scores)
    return f"{caption}, confidence {scores['confidence']:.2f}" if "confidence" in scores else caption
