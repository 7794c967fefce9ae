"""Files that are no PNG, JPEG, TIFF or WebP image, or look like one: what they are, and what to do with them."""

from __future__ import annotations

from runtime.images.metadata.directories import Entry, read

_NO_IMAGE = "this is no PNG, JPEG, TIFF or WebP image"
_CONVERT = "convert it to one of these"
_DEVELOP = "develop it with a raw converter and save it as 16-bit TIFF or PNG"
_EXPORT = "save the picture in it as PNG or TIFF"

_RAW = {
    b"FUJIFILMCCD-RAW": "RAF",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"IIU\0": "RW2",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
    b"II\x1a\0\0\0HEAPCCDR": "CRW",
}
_CR2, _IIQ = b"CR", b"IIII"
"""What stands at offset 8 of raw photographs that begin like a TIFF file."""
_PICTURES = {
    b"GIF8": "a GIF image",
    b"8BPS": "a Photoshop document",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 image",
    b"\xff\xd8\xff\xf7": "a JPEG-LS image",
    b"\x8aMNG": "an MNG animation",
    b"\x8bJNG": "a JNG image",
    b"\x76\x2f\x31\x01": "an OpenEXR image",
    b"#?RADIANCE": "a Radiance HDR image",
    b"#?RGBE": "a Radiance HDR image",
    b"DDS ": "a DDS image",
    b"qoif": "a QOI image",
    b"\0\0\x01\0": "an icon",
    b"gimp xcf": "a GIMP document",
    b"SIMPLE  =": "a FITS image",
    **{b"P%d" % number + end: "a PNM image" for number in range(1, 8) for end in (b"\n", b" ", b"\r\n")},
    b"PF\n": "a PFM image",
    b"Pf\n": "a PFM image",
}
_VIDEO = "a video"
_OTHERS = {
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"<svg": "an SVG drawing",
    b"PK\x03\x04": "a ZIP archive or office document",
    b"\x1f\x8b": "a gzip archive",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\x1aE\xdf\xa3": _VIDEO,
}
_TEXTS = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a pointer of Git LFS",
    b"<?xml": "an XML document",
}
_BRANDS = {
    b"crx ": "CR3",
    **dict.fromkeys((b"avif", b"avis"), "an AVIF image"),
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), "a HEIC image"),
}
"""What files of the family of MPEG-4 are, by what stands at offset 8."""

_SIGNATURES = {b"MM\0*": (">", False), b"II*\0": ("<", False), b"MM\0+": (">", True), b"II+\0": ("<", True)}
_SUB_DIRECTORIES, _PHOTOMETRIC, _DNG_VERSION, _MAKE = 330, 262, 50706, 271
_SENSOR_COLOURS = (32803, 34892)
"""Photometric interpretations of raw pixels: a colour filter array, and linear raw values."""
_MOST_DIRECTORIES = 8


def refusal(data: bytes, format: str | None) -> str | None:
    """Return why a file cannot be read although it is intact, and what to do; ``None`` if it may be an image.

    Parameters
    ----------
    data
        The content of the file.
    format
        The format that its first bytes are those of, or ``None``.
    """
    if format == "TIFF":
        kind = _raw_in_tiff(data)
        return _raw(kind) if kind else None
    if format == "PNG" and data[12:16] == b"CgBI":
        return f"this is a PNG image in Apple's own variant for iPhones: {_CONVERT}, or get the original"
    if data.startswith(b"\xff\xd8\xff\xf7") or (format == "WEBP" and data[8:12] != b"WEBP"):
        format = None
    return None if format else _named(data)


def _named(data: bytes) -> str:
    if not data:
        return "the file is empty: get an intact copy, or convert it again"
    if data.startswith(b"RIFF"):
        return _message("a video or a sound", _EXPORT)
    if data[4:8] == b"ftyp":
        brand = _BRANDS.get(data[8:12], _VIDEO)
        return _raw(brand) if brand == "CR3" else _message(brand, _EXPORT if brand == _VIDEO else _CONVERT)
    if data.startswith(b"BM") and data[6:10] == bytes(4):
        return _message("a BMP image", _CONVERT)
    for table, mend in ((_RAW, _DEVELOP), (_PICTURES, _CONVERT), (_OTHERS, _EXPORT)):
        for magic, name in table.items():
            if data.startswith(magic):
                return _raw(name) if table is _RAW else _message(name, mend)
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, name in _TEXTS.items():
        if start.startswith(magic):
            return _message(name, "get the picture itself")
    if data[128:132] == b"DICM":
        return _message("a DICOM image", _CONVERT)
    return f"{_NO_IMAGE}: {_CONVERT}"


def _message(name: str, mend: str) -> str:
    return f"this is {name}, no PNG, JPEG, TIFF or WebP image: {mend}"


def _raw(kind: str) -> str:
    return f"this is a raw photograph ({kind}): {_DEVELOP}"


def _raw_in_tiff(data: bytes) -> str | None:
    """Return the kind of a raw photograph that begins like a TIFF file, or ``None``."""
    if data[8:10] == _CR2:
        return "CR2"
    if data[8:12] == _IIQ:
        return "IIQ"
    order, big = _SIGNATURES[data[:4]]
    start = int.from_bytes(data[8:16] if big else data[4:8], "little" if order == "<" else "big")
    try:
        first = read(data, start, order, big)
        if _DNG_VERSION in first:
            return "DNG"
        found = [first]
        pointers = first.get(_SUB_DIRECTORIES, Entry(4, b"")).data
        for at in range(0, min(len(pointers), 4 * _MOST_DIRECTORIES), 4):
            found.append(read(data, int.from_bytes(pointers[at : at + 4], "little"), order, big))
    except ValueError:  # a damaged file is no business of this module
        return None
    if any(_PHOTOMETRIC in tags and tags[_PHOTOMETRIC].integer in _SENSOR_COLOURS for tags in found):
        make = first[_MAKE].data.rstrip(b"\0 ").decode("latin-1") if _MAKE in first else ""
        return " ".join(make.split()) or "values of the sensor"
    return None
