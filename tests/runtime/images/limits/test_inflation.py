import tracemalloc
import zlib

import pytest

from runtime.images.limits.inflation import DEFLATE_RATIO, inflate, inflated_size

PLAIN = bytes(range(256)) * 40
BOMB = zlib.compress(bytes(50 << 20), 9)


def test_what_fits_is_inflated():
    assert inflate(zlib.compress(PLAIN), len(PLAIN)) == PLAIN
    assert inflate(zlib.compress(b""), 0) == b""


@pytest.mark.parametrize(
    ("data", "limit", "error", "reason"),
    [
        (zlib.compress(PLAIN), len(PLAIN) - 1, ValueError, "more than 10239 bytes"),
        (zlib.compress(PLAIN)[:-5], len(PLAIN), ValueError, "cut short"),
        (BOMB, 1000, ValueError, "more than 1000 bytes"),
        (b"no stream", 1000, zlib.error, "header"),
    ],
)
def test_what_does_not_fit_is_refused(data, limit, error, reason):
    with pytest.raises(error, match=reason):
        inflate(data, limit)


def test_deflate_inflates_no_more_than_its_ratio():
    assert (50 << 20) / DEFLATE_RATIO < len(BOMB) < (50 << 20) / DEFLATE_RATIO * 1.01


@pytest.mark.parametrize("limit", [5000, len(PLAIN) - 1, len(PLAIN), len(PLAIN) + 1, 10**9])
def test_the_size_is_known_without_the_content(limit):
    data = zlib.compress(PLAIN)
    found = inflated_size(data, limit)
    assert found == min(len(PLAIN), limit + 1) or len(PLAIN) <= found <= limit


def test_counting_takes_little_memory():
    tracemalloc.start()
    try:
        assert inflated_size(BOMB, 40 << 20) == (40 << 20) + 1
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_of_a_damaged_stream_the_beginning_counts():
    data = zlib.compress(PLAIN * 100, 0)
    damaged = data[:200_000] + b"\xff" * 200
    assert 190_000 < inflated_size(damaged, 10**6) < 210_000
    assert inflated_size(data[:300_000], 10**6) < 10**6
