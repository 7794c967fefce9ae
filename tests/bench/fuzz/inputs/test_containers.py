import zlib

import numpy as np
import pytest

from bench.fuzz.inputs.containers import (
    JPEG,
    PNG,
    WEBP,
    join_jpeg,
    join_png,
    join_webp,
    parse_jpeg,
    parse_png,
    parse_webp,
)
from bench.fuzz.inputs.pictures import picture, pictures
from runtime.images import decode

CODECS = {"png": (parse_png, join_png), "jpeg": (parse_jpeg, join_jpeg), "webp": (parse_webp, join_webp)}
FILES = [(name, data) for name, data in pictures() if name.partition("-")[0] in CODECS]


@pytest.mark.parametrize(("name", "data"), FILES, ids=[name for name, _ in FILES])
def test_a_file_of_its_own_chunks_is_the_same(name, data):
    parse, join = CODECS[name.partition("-")[0]]
    assert join(parse(data)) == data


@pytest.mark.parametrize(
    ("name", "mutations"), [("png-8", PNG), ("jpeg", JPEG), ("jpeg-progressive", JPEG), ("webp-alpha", WEBP)]
)
def test_mutations_change_files_and_give_up_on_what_is_none(name, mutations):
    data, rng = picture(name), np.random.default_rng(3)
    for mutation in mutations:
        assert any(mutation(rng, data) != data for _ in range(5)), mutation.__name__
        for rest in (b"", data[:7], data[:40]):
            assert isinstance(mutation(rng, rest), bytes)


def test_checksums_of_a_mutated_png_are_right():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        data = PNG[seed % len(PNG)](rng, picture("png-16"))
        at = 8
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            body, stored = data[at + 4 : at + 8 + size], data[at + 8 + size : at + 12 + size]
            assert zlib.crc32(body) == int.from_bytes(stored, "big")
            at += 12 + size


def test_a_jpeg_of_repeated_scans_keeps_its_pixels_reachable():
    chunks = parse_jpeg(picture("jpeg-progressive"))
    scans = [chunk for chunk in chunks if chunk[0] == b"\xff\xda"]
    assert len(scans) > 5
    assert decode(join_jpeg(chunks))[0].shape == (23, 31, 3)
