"""The family ``images``: mutated image files, decoded, encoded again, opened as planes and closed."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from bench.fuzz.case import Broken, Case
from bench.fuzz.inputs.containers import JPEG, PNG, WEBP
from bench.fuzz.inputs.mutations import ANY, Mutation, pick, splice_with
from bench.fuzz.inputs.pictures import NAMES, picture, pictures
from bench.fuzz.inputs.tiff_tags import TIFF
from runtime.errors import InvalidImage
from runtime.images import decode, encode, open_image, read_file, write_file

_OWN: dict[str, tuple[Mutation, ...]] = {"png": PNG, "jpeg": JPEG, "webp": WEBP, "tiff": TIFF}
"""Mutations that know a format."""
_DTYPES = ("uint8", "uint16", "float16", "float32", "float64")
_SHARE_OWN = 0.7
"""Share of the mutations that know the format."""


class Images:
    """Mutated PNG, JPEG, TIFF and WebP files."""

    name: ClassVar[str] = "images"
    cases: ClassVar[int] = 6000
    short: ClassVar[int] = 300
    seconds: ClassVar[float] = 10.0
    memory: ClassVar[int] = 400 << 20
    silent: ClassVar[bool] = False

    def warm_up(self) -> None:
        """Decode every seed: they are valid, or of a kind that is refused in words."""
        for _, data in pictures():
            _attempt(data)

    def make(self, rng: np.random.Generator, folder: Path) -> Case:
        """Mutate a file one to four times."""
        name = pick(rng, NAMES)
        data, done = picture(name), []
        for _ in range(min(4, int(rng.geometric(0.6)))):
            own = rng.random() < _SHARE_OWN
            splice = splice_with(picture(pick(rng, NAMES)))
            mutation = pick(rng, _OWN[name.partition("-")[0]] if own else (*ANY, splice))
            data = mutation(rng, data)
            done.append(mutation.__name__)
        file = folder / f"{name}.bin"
        file.write_bytes(data)
        door = pick(rng, (_decode, _decode, _open, _read))
        title = f"{name}, {' + '.join(done)}, {len(data)} bytes: {door.__name__.strip('_')}"
        return Case(title, partial(door, file, data))


def _attempt(data: bytes) -> None:
    with suppress(InvalidImage):
        decode(data)


def _decode(file: Path, data: bytes) -> None:
    """Decode, encode in the same format, and decode that."""
    pixels, header = decode(data)
    check_pixels(pixels)
    again, _ = decode(encode(pixels, header))
    if again.shape[:2] != pixels.shape[:2]:
        raise Broken(f"pixels of shape {pixels.shape} were encoded as {again.shape}")
    exact = header.format in ("PNG", "TIFF") and again.shape == pixels.shape and again.dtype == pixels.dtype
    if exact and not np.array_equal(again, pixels, equal_nan=again.dtype.kind == "f"):
        raise Broken(f"{header.format} does not give the same pixels again")


def _open(file: Path, data: bytes) -> None:
    """Open as planes, and close them again."""
    planes, frame = open_image(data)
    if planes.ndim != 3 or planes.dtype != np.float32 or not np.isfinite(planes).all():
        raise Broken(f"planes of shape {planes.shape} and dtype {planes.dtype} that are not finite float32")
    if not isinstance(frame.close(planes), bytes):
        raise Broken("bytes do not come back as bytes")


def _read(file: Path, data: bytes) -> None:
    """Read a file and write it as another format."""
    pixels, header = read_file(file)
    check_pixels(pixels)
    target = file.with_suffix((".png", ".tif", ".webp", ".jpg")[len(data) % 4])
    write_file(target, pixels, header)
    decode(target.read_bytes())


def check_pixels(pixels: npt.NDArray[Any]) -> None:
    """Raise `Broken` unless an array is an image."""
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise Broken(f"pixels of shape {pixels.shape}")
    if pixels.dtype.name not in _DTYPES:
        raise Broken(f"pixels of dtype {pixels.dtype}")
