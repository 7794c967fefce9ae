"""Pixels and metadata for tests of image files."""

import io
import struct
import warnings
import zlib
from contextlib import contextmanager
from functools import cache

import numpy as np
import tifffile
from PIL import Image, ImageCms

ORIENTATION, EXIF, GPS = 0x0112, 0x8769, 0x8825


def random_pixels(rng, dtype, channels, size=(13, 17)):
    """Random pixels over the full range of a dtype."""
    shape = (*size, channels) if channels > 1 else size
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def smooth_pixels(size=(48, 64)):
    """A uint8 colour gradient, which JPEG encodes almost without loss."""
    rows, cols = np.mgrid[: size[0], : size[1]]
    return np.stack([rows * 3, cols * 3, 255 - rows - cols], axis=-1).astype(np.uint8)


@cache
def icc_profile():
    """An ICC profile, created once because each new one contains the time."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation=1):
    """An EXIF block like that of a camera, without the marker of JPEG."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[ORIENTATION] = orientation
    exif[0x0132] = "2020:01:02 03:04:05"
    exif[0x013B] = b"ab"
    exif[0x8298] = "© Müller".encode()
    exif.get_ifd(EXIF).update({0x829A: 0.01, 0x8827: 200, 0x927C: b"maker note\0raw"})
    exif.get_ifd(GPS).update({1: "N", 2: (1.0, 2.0, 3.0)})
    return exif.tobytes()[6:]


def tags(block):
    """The tags of an EXIF block and their values."""
    exif = Image.Exif()
    exif.load(block)
    own = {tag: value for tag, value in exif.items() if tag not in (EXIF, GPS)}
    return own | {EXIF: dict(exif.get_ifd(EXIF)), GPS: dict(exif.get_ifd(GPS))}


def save(image, format, **options):
    """Encode a PIL image; return the bytes."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind, payload):
    """A chunk of a PNG file."""
    return struct.pack(">L", len(payload)) + kind + payload + struct.pack(">L", zlib.crc32(kind + payload))


def chunks_of(data):
    """Kinds and payloads of the chunks of a PNG file."""
    position, found = 8, []
    while position < len(data):
        size, kind = struct.unpack_from(">L4s", data, position)
        found.append((kind, data[position + 8 : position + 8 + size]))
        position += 12 + size
    return found


def with_chunks(data, *chunks):
    """A PNG file with further chunks behind its first one."""
    return data[:33] + b"".join(chunk(*item) for item in chunks) + data[33:]


def write_png(pixels, colour_type, before=b"", after=b"", depth=16):
    """A PNG file of 8 or 16 bits, written according to the specification."""
    height, width = pixels.shape[:2]
    rows = [b"\0" + row.astype(">u2" if depth == 16 else np.uint8).tobytes() for row in pixels]
    header = struct.pack(">LLBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + data + after + chunk(b"IEND", b"")


def segment(marker, payload):
    """A segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_segments(data, *segments):
    """A JPEG file with further segments behind its first one."""
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:end] + b"".join(segment(*item) for item in segments) + data[end:]


def segments_of(data):
    """Markers and payloads of the segments of a JPEG file, in front of the pixels."""
    position, found = 2, []
    while data[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        found.append((data[position + 1], data[position + 4 : end]))
        position = end
    return found


def write_tiff(pixels, **options):
    """A TIFF file, written by tifffile."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


def tiff_tags(data):
    """Tags and values of the first directory of a TIFF file."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        return {tag.code: tag.value for tag in tiff.pages[0].tags}


def resource(number, content, name=b""):
    """An image resource of Photoshop."""
    name = bytes([len(name)]) + name
    head = b"8BIM" + struct.pack(">H", number) + name + bytes(len(name) % 2)
    return head + struct.pack(">L", len(content)) + content + bytes(len(content) % 2)


def xmp_packet(content="", attributes=""):
    """An XMP packet, in the namespaces of TIFF, EXIF and the gain maps of HDR."""
    return f'''<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"{attributes}>
<dc:creator><rdf:Seq><rdf:li>Jané</rdf:li></rdf:Seq></dc:creator>{content}
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'''.encode()


@contextmanager
def nothing_lost():
    """Make a warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
