"""Image files built byte by byte, which no encoder would write."""

import struct
import zlib

RATIONAL, SHORT, LONG, UNDEFINED = 5, 3, 4, 7


def jpeg(width, height, *content, frame=0xC0, components=1, sampling=0x11, end=b"\xff\xd9"):
    """A JPEG file of a frame header and further segments."""
    described = b"".join(bytes([number + 1, sampling if number == 0 else 0x11, 0]) for number in range(components))
    head = segment(frame, struct.pack(">BHHB", 8, height, width, components) + described)
    return b"\xff\xd8" + segment(0xDB, bytes([0] + [1] * 64)) + head + b"".join(content) + end


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def tables():
    """Huffman tables of one code of one bit each: no difference of the mean, end of the block."""
    return b"".join(segment(0xC4, bytes([kind << 4, 1] + [0] * 15 + [0])) for kind in (0, 1))


def scan(pixels=b"", first=0, last=63, approximation=0, components=(1,)):
    named = b"".join(bytes([component, 0]) for component in components)
    return segment(0xDA, bytes([len(components)]) + named + bytes([first, last, approximation])) + pixels


def png(width, height, *chunks, depth=8, colour_type=0):
    """A PNG file of a header and further chunks."""
    header = struct.pack(">LLBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def chunk(kind, payload):
    return struct.pack(">L", len(payload)) + kind + payload + struct.pack(">L", zlib.crc32(kind + payload))


def webp(*chunks):
    """A WebP file of chunks, given as kind and payload."""
    content = b"WEBP"
    for kind, payload in chunks:
        content += kind + struct.pack("<L", len(payload)) + payload + bytes(len(payload) % 2)
    return b"RIFF" + struct.pack("<L", len(content)) + content


def directory(entries, following=0, big=False):
    """A directory of entries, given as tag, field type, count and the value or its offset."""
    head, row, end = ("<Q", "<HHQQ", "<Q") if big else ("<H", "<HHLL", "<L")
    rows = b"".join(struct.pack(row, *entry) for entry in sorted(entries))
    return struct.pack(head, len(entries)) + rows + struct.pack(end, following)


def entries(changes=(), width=8, height=8, size=64):
    """The entries of an 8-bit grey TIFF picture whose pixels stand at offset 16, with changes given as tag: entry."""
    plain = {
        256: (LONG, 1, width),
        257: (LONG, 1, height),
        258: (SHORT, 1, 8),
        259: (SHORT, 1, 1),
        262: (SHORT, 1, 1),
        273: (LONG, 1, 16),
        277: (SHORT, 1, 1),
        278: (LONG, 1, height),
        279: (LONG, 1, size),
    }
    changed = {**plain, **dict(changes)}
    return [(tag, *entry) for tag, entry in changed.items() if entry]


def tiff(*directories, pixels=bytes(64), following=None, big=False):
    """A TIFF file of pixels and a chain of directories, of which the last points to `following`."""
    pixels += bytes(-len(pixels) % 2)
    starts, position = [], 16 + len(pixels)
    for rows in directories:
        starts.append(position)
        position += len(directory(rows, big=big))
    ends = [*starts[1:], starts[following] if following is not None else 0]
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16 + len(pixels))
    if not big:
        head = b"II*\0" + struct.pack("<L", 16 + len(pixels)) + bytes(8)
    chain = b"".join(directory(rows, end, big) for rows, end in zip(directories, ends, strict=True))
    return head + pixels + chain
