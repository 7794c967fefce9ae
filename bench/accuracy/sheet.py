"""Contact sheets: one picture per set of what went in, what came out and the truth, with the blur kernels."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from bench.accuracy.evaluation import BLURRED, TRUE_KERNEL, UNAIDED, WHOLE, Result, foremost
from bench.accuracy.scoring import EQUAL
from bench.data.datasets import Sample

CASES = 8
"""Cases on one sheet at most."""
BLOCKS = 2
"""Cases beside each other, from `BLOCKS` squared cases on."""
WIDTH, HEIGHT = 320, 240
"""Size of one picture: the middle of the photograph, so that its details show."""
LARGEST_CROP = 1.5
"""Pixels of the photograph per pixel of its picture, at most."""
CAPTION, FONT = 20, 13
INSET = 72
GAP = 6
MAX_BYTES = 600_000
_FAINT = 0.02
"""Share of its largest value from which a pixel belongs to a kernel, for the choice of what the inset shows."""

Kernel = npt.NDArray[np.float32]


def shown(count: int) -> list[int]:
    """Return which of `count` cases a sheet shows: all, or `CASES` of them, evenly spread."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(CASES, count))})


def draw_case(
    name: str, sample: Sample, results: Mapping[str, Result], scores: Mapping[str, Mapping[str, Any]]
) -> Image.Image:
    """Draw one case: input, result and, where it is known, the truth, with the estimated and the true kernel.

    Parameters
    ----------
    name
        Caption of the input.
    sample, results, scores
        The case, and what became of it, by method; the result shown is that of the `foremost` one.

    Returns
    -------
    Image
        RGB, ``HEIGHT + CAPTION`` high.
    """
    method = foremost(results)
    kernels = [kernel for kernel in (results[method].kernel, sample.kernel) if kernel is not None]
    side = max((_extent(kernel) for kernel in kernels), default=0)
    pictures = [
        _picture(sample.observed, None, side, f"{name}{_decibels(scores[BLURRED])}"),
        _picture(results[method].image, results[method].kernel, side, _result_caption(method, scores[method])),
    ]
    # A photograph that is its own truth need not be shown twice.
    if sample.sharp is not None and sample.sharp is not sample.observed:
        ideal = f", its kernel{_decibels(scores[TRUE_KERNEL])}" if TRUE_KERNEL in scores else ""
        pictures.append(_picture(sample.sharp, sample.kernel, side, f"truth{ideal}"))
    return _beside(pictures)


def write_sheet(file: Path, cases: list[Image.Image]) -> None:
    """Write drawn cases below each other, in two columns where there are many, as a JPEG.

    The more there is to see the lower its quality, so that it has `MAX_BYTES` at most unless it is hardly an image.

    Raises
    ------
    ValueError
        If there are no cases.
    """
    if not cases:
        raise ValueError("a sheet of no cases: draw one or more")
    blocks = BLOCKS if len(cases) >= BLOCKS**2 else 1
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
    scale = min(width / WIDTH, height / HEIGHT, LARGEST_CROP)
    left, top = (width - scale * WIDTH) / 2, (height - scale * HEIGHT) / 2
    middle = left, top, left + scale * WIDTH, top + scale * HEIGHT
    picture = Image.new("RGB", (WIDTH, HEIGHT + CAPTION), "white")
    resized = _bytes(image, 1.0).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box=middle)
    picture.paste(resized, (0, CAPTION))
    pen = ImageDraw.Draw(picture)
    pen.text((2, 2), caption, fill="black", font=ImageFont.load_default(FONT))
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
    """Return the side of a square, with a little room, that holds what can be seen of a kernel."""
    top, bottom, left, right = _bounds(kernel)
    return max(bottom - top, right - left) + 2


def _centred(kernel: Kernel, side: int) -> Kernel:
    """Cut a square out of a kernel, what can be seen of it in the middle: a kernel is known up to translation alone."""
    top, bottom, left, right = _bounds(kernel)
    padded = np.pad(kernel, side)
    row, column = side + (top + bottom - side) // 2, side + (left + right - side) // 2
    return padded[row : row + side, column : column + side]


def _decibels(scores: Mapping[str, Any]) -> str:
    return f" {scores['psnr']:.2f} dB" if scores.get("psnr", EQUAL) < EQUAL else ""


def _result_caption(method: str, scores: Mapping[str, Any]) -> str:
    caption = "left as it is" if scores.get("unchanged") else "restored" if method in (WHOLE, UNAIDED) else method
    caption += _decibels(scores)
    return f"{caption}, confidence {scores['confidence']:.2f}" if "confidence" in scores else caption
