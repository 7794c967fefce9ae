import pytest

from runtime.images.metadata import trailer


@pytest.mark.parametrize(
    ("rest", "names"),
    [
        (b"", []),
        (bytes(100), []),
        (b"\xff\xd8\xff\xe0", ["further pictures behind the photograph"]),
        (b"\0\0\0\x18ftypmp42", ["the video of a motion photo"]),
        (b"secret", ["6 bytes behind the picture"]),
    ],
)
def test_what_follows_a_picture_is_named(rest, names):
    assert trailer.lost(rest) == names
