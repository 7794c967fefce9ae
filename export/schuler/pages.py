"""Pages of text to crop from: lines of words, thin strokes as of a pen, and the boxes of a screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE = 640
"""Of a page in pixels."""
_SIZES = (11, 34)
"""Smallest and largest size of the letters in pixels."""
_LETTERS = "eeeeeeetttttaaaaaooooiiiiinnnnssssrrrrhhhhlllddduucccmmffppggwwyybbvvkxjqz"
"""About as often as in English."""
_WORDS = ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "()+-=*/%&.,;:")
_UNREADABLE = ("Display", "STIXSiz", "cmex", "cmsy", "Emoji", "Symbol", "Math", "NonUni", "LastResort")
"""In the names of fonts without ordinary letters."""


def draw_pages(count: int, seed: int) -> list[NDArray[np.uint8]]:
    """Draw pages ``(640, 640)``, a third of each kind, half of them bright on dark.

    Parameters
    ----------
    count
        How many.
    seed
        Of all that is random; fonts are those of the machine.

    Raises
    ------
    FileNotFoundError
        If the machine has no font of letters.
    """
    rng = np.random.default_rng(seed)
    pages = []
    for index in range(count):
        paper, ink = rng.uniform(0.75, 1.0), rng.uniform(0.0, 0.3)
        if index // len(_KINDS) % 2:
            paper, ink = ink, paper
        page = Image.new("L", (SIDE, SIDE), round(255 * paper))
        _KINDS[index % len(_KINDS)](ImageDraw.Draw(page), round(255 * ink), rng)
        pages.append(np.asarray(page))
    return pages


def _write(draw: ImageDraw.ImageDraw, ink: int, rng: np.random.Generator) -> None:
    """Fill the page with lines of words, in blocks of one font and size each."""
    top = int(rng.integers(0, 20))
    while top < SIDE:
        size = int(rng.integers(*_SIZES))
        font = _font(_fonts()[int(rng.integers(len(_fonts())))], size)
        for _ in range(int(rng.integers(2, 9))):
            draw.text((int(rng.integers(0, 2 * size)), top), _line(rng, SIDE // size * 3), fill=ink, font=font)
            top += round(size * rng.uniform(1.1, 1.5))
        top += int(rng.integers(0, size))


def _scribble(draw: ImageDraw.ImageDraw, ink: int, rng: np.random.Generator) -> None:
    """Draw smooth strokes of a pen, and rules between some."""
    for _ in range(int(rng.integers(120, 240))):
        place, heading = rng.uniform(0, SIDE, 2), rng.uniform(0, 2 * np.pi)
        bend = rng.normal(0, 0.25)
        points = []
        for _ in range(int(rng.integers(6, 30))):
            points.append(tuple(place))
            bend = 0.8 * bend + rng.normal(0, 0.2)
            heading += bend
            place = place + 4 * np.array([np.cos(heading), np.sin(heading)])
        draw.line(points, fill=ink, width=int(rng.integers(1, 5)), joint="curve")
    for row in rng.integers(0, SIDE, int(rng.integers(0, 12))):
        draw.line([(0, int(row)), (SIDE, int(row))], fill=ink, width=1)


def _screen(draw: ImageDraw.ImageDraw, ink: int, rng: np.random.Generator) -> None:
    """Draw boxes of several greys with frames and labels, as of a user interface."""
    for _ in range(int(rng.integers(25, 60))):
        left, top = (int(place) for place in rng.integers(-40, SIDE, 2))
        width, height = (int(side) for side in rng.integers(20, 260, 2))
        grey = int(rng.integers(0, 256))
        draw.rectangle([left, top, left + width, top + height], fill=grey, outline=ink, width=int(rng.integers(0, 3)))
        size = int(rng.integers(*_SIZES))
        font = _font(_fonts()[int(rng.integers(len(_fonts())))], size)
        label = 255 if grey < 128 else 0
        for row in range(top + 3, top + height - size, round(1.4 * size)):
            draw.text((left + 4, row), _line(rng, 1 + width // size), fill=label, font=font)


_KINDS: tuple[Callable[[ImageDraw.ImageDraw, int, np.random.Generator], None], ...] = (_write, _scribble, _screen)


def _line(rng: np.random.Generator, letters: int) -> str:
    """Return words of random letters, some of digits, capitals or signs."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < letters:
        kind = _LETTERS if rng.random() < 0.85 else _WORDS[int(rng.integers(len(_WORDS)))]
        words.append("".join(kind[int(place)] for place in rng.integers(len(kind), size=int(rng.integers(1, 10)))))
    return " ".join(words)


@lru_cache(maxsize=1)
def _fonts() -> list[str]:
    """Return the files of the machine's fonts, among them those that come with Matplotlib."""
    from matplotlib import font_manager, get_data_path

    bundled = Path(get_data_path(), "fonts", "ttf").glob("*.ttf")
    files = sorted({*map(str, bundled), *font_manager.findSystemFonts(fontext="ttf")})
    readable = [file for file in files if not any(part in Path(file).name for part in _UNREADABLE)]
    if not readable:
        raise FileNotFoundError("no fonts found to draw pages with; install a TrueType font")
    return readable


@lru_cache(maxsize=512)
def _font(file: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(file, size)
