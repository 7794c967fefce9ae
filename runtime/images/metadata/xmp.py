"""Edits of XMP packets as text, so that all else stays as it was written; no XML is parsed."""

from __future__ import annotations

import re
from collections.abc import Callable

_TIFF = "http://ns.adobe.com/tiff/1.0/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_BASIC = "http://ns.adobe.com/xap/1.0/"
_GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_CONTAINER = "http://ns.google.com/photos/1.0/container/"
_CAMERA = "http://ns.google.com/photos/1.0/camera/"

_WHAT_IS_GONE = [
    (_BASIC, "Thumbnails"),
    *((namespace, r"\w+") for namespace in _GAIN_MAPS),
    (_CONTAINER, "Directory"),
    (_CAMERA, r"(?:MicroVideo|MotionPhoto)\w*"),
]
"""Namespaces and names of properties that describe thumbnails, gain maps and videos beside the picture."""

_MOST_PREFIXES = 8
"""Prefixes of one namespace that are looked for: packets have one."""


def has_gain_map(xmp: bytes | None) -> bool:
    """Return whether a packet says that the picture comes with a gain map."""
    if xmp is None:
        return False
    packet = xmp.decode("utf-8", "replace")
    prefixes = [prefix for namespace in _GAIN_MAPS for prefix in _prefixes(packet, namespace)]
    return any(re.search(rf"[\s<]{prefix}:\w", packet) for prefix in prefixes)


def upright(xmp: bytes) -> bytes:
    """Return a packet that says, if it mentions the orientation, that the picture is upright."""
    return _edit(xmp, lambda packet: _set(packet, _TIFF, "Orientation", "1"))


def with_sizes(xmp: bytes, width: int, height: int) -> bytes:
    """Return a packet in which the size of the picture, where it is mentioned, is the one given."""

    def change(packet: str) -> str:
        for namespace, names in (
            (_TIFF, ("ImageWidth", "ImageLength")),
            (_EXIF, ("PixelXDimension", "PixelYDimension")),
        ):
            for name, value in zip(names, (width, height), strict=True):
                packet = _set(packet, namespace, name, str(value))
        return packet

    return _edit(xmp, change)


def with_turned_resolution(xmp: bytes) -> bytes:
    """Return a packet of a picture whose rows have become columns: both resolutions change places."""

    def change(packet: str) -> str:
        for prefix in _prefixes(packet, _TIFF):
            pattern = rf"(?<![\w:])({prefix}:)([XY])(Resolution)(?!\w)"
            packet = re.sub(pattern, lambda found: found[1] + ("Y" if found[2] == "X" else "X") + found[3], packet)
        return packet

    return _edit(xmp, change)


def without_what_is_gone(xmp: bytes) -> bytes:
    """Return a packet that mentions no thumbnail, gain map, or video, which do not come with a restored picture."""

    def change(packet: str) -> str:
        for namespace, name in _WHAT_IS_GONE:
            for prefix in _prefixes(packet, namespace):
                packet = re.sub(rf"\s{prefix}:{name}\s*=\s*(?:\"[^\"]*\"|'[^']*')", "", packet)
                packet = re.sub(rf"<{prefix}:{name}(?:\s[^<>]*)?/>", "", packet)
                packet = _without_elements(packet, prefix, name)
        return packet

    return _edit(xmp, change)


def _without_elements(packet: str, prefix: str, name: str) -> str:
    """Cut elements with their content, up to the end tag of the same name."""
    kept, position, endless = [], 0, set()
    for start in re.finditer(rf"<({prefix}:{name})(?:\s[^<>]*)?>", packet):
        if start.start() < position or start[1] in endless:
            continue
        closing = f"</{start[1]}>"
        end = packet.find(closing, start.end())
        if end < 0:
            endless.add(start[1])
            continue
        kept.append(packet[position : start.start()])
        position = end + len(closing)
    return "".join(kept) + packet[position:]


def _edit(xmp: bytes, change: Callable[[str], str]) -> bytes:
    """Apply a change to the text of a packet; bytes that are no text are kept."""
    # UTF-16 has zeros between the letters.
    for encoding in ("utf-16-le", "utf-16-be") if b"\0" in xmp[:64] else ("utf-8",):
        try:
            packet = xmp.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "<" not in packet:
            continue
        changed = change(packet)
        return xmp if changed == packet else changed.encode(encoding)
    packet = xmp.decode("utf-8", "surrogateescape")
    return change(packet).encode("utf-8", "surrogateescape")


def _set(packet: str, namespace: str, name: str, value: str) -> str:
    """Set a simple property, wherever it is mentioned as an attribute or as an element."""
    for prefix in _prefixes(packet, namespace):
        packet = re.sub(rf"(\s{prefix}:{name}\s*=\s*[\"'])[^\"'<>]*", rf"\g<1>{value}", packet)
        packet = re.sub(rf"(<{prefix}:{name}(?:\s[^<>]*)?(?<!/)>)[^<>]*", rf"\g<1>{value}", packet)
    return packet


def _prefixes(packet: str, namespace: str) -> list[str]:
    """Return the prefixes that stand for a namespace, as patterns."""
    found = re.findall(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(namespace)}[\"']", packet)
    return [re.escape(prefix) for prefix in sorted(set(found))[:_MOST_PREFIXES]]
