import pytest

from runtime.errors import InvalidArgument
from runtime.serve.settings import Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 0}, "workers"),
        ({"queue": 1.5}, "queue"),
        ({"pixels": -1}, "pixels"),
        ({"deadline": 0}, "deadline.*more than 0"),
        ({"body_seconds": float("inf")}, "body_seconds"),
        ({"per_client": 0}, "per_client"),
        ({"devices": ()}, "no device"),
    ],
)
def test_values_that_cannot_be_used_are_refused(changes, message):
    with pytest.raises(InvalidArgument, match=message):
        Settings(**changes)


def test_the_bytes_of_all_requests_may_be_more_than_32_bits_count():
    assert Settings(bytes_held=1 << 40).bytes_held == 1 << 40
