"""Images: arrays, PIL images and files are converted to float32 planes, and results back to the type of the input.

* `arrays`: any image to planes and back: `open_image`, `Frame`; `pixels_of`, `pixels_of_file`, `Pixels`.
* `codecs`: encoded images (PNG, JPEG, TIFF, WebP) to pixels and back: `decode`, `encode`.
* `files`: image files: `read_file`, `write_file`, `read_bytes`, `write_bytes`, `format_of`. `atomic`: atomic writing.
* `header`: the format and metadata of an image file: `Header`. `metadata`: what files say beside the pixels.
* `limits`: what a file may ask for. `storable`: whether a format can store a picture: `check_storable`.
* `jpeg`, `pillow`, `png`, `tiff`: the codecs. `exif`: the EXIF orientation. `foreign`: files that are none of these.
* `quiet`: what decoders print.
"""

from __future__ import annotations

from runtime.images.arrays import Frame, Pixels, open_image, pixels_of, pixels_of_file
from runtime.images.atomic import remove_leftovers
from runtime.images.codecs import decode, encode
from runtime.images.files import SUFFIXES, format_of, read_bytes, read_file, write_bytes, write_file
from runtime.images.header import Header
from runtime.images.limits import MAX_PIXELS
from runtime.images.storable import check_storable

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Frame",
    "Header",
    "Pixels",
    "check_storable",
    "decode",
    "encode",
    "format_of",
    "open_image",
    "pixels_of",
    "pixels_of_file",
    "read_bytes",
    "read_file",
    "remove_leftovers",
    "write_bytes",
    "write_file",
]
