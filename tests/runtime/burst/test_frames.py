import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runtime.burst.frames import Burst
from runtime.errors import ImageFileError, InvalidArgument, InvalidImage, UnsupportedType
from runtime.images import write_file

PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def test_frames_are_opened_in_order_and_named(tmp_path):
    write_file(tmp_path / "a.png", PIXELS)
    encoded = io.BytesIO()
    Image.fromarray(PIXELS).save(encoded, "PNG")
    burst = Burst([PIXELS, tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(PIXELS), encoded.getvalue()])
    assert burst.count == 5
    opened = list(burst)
    assert [frame.number for frame in opened] == [0, 1, 2, 3, 4]
    assert opened[0].name == "frame 0"
    assert [frame.name for frame in opened[1:3]] == [f"frame {number} ({tmp_path}/a.png)" for number in (1, 2)]
    for frame in opened:
        np.testing.assert_allclose(frame.planes, PIXELS.transpose(2, 0, 1) / 255, atol=1e-6)
    assert burst[3].number == 3


def test_frames_are_opened_one_at_a_time():
    given = []

    def frames():
        for number in range(3):
            given.append(number)
            yield PIXELS

    burst = Burst(frames())
    assert burst.count is None
    assert next(iter(burst)).number == 0
    assert given == [0]


def test_an_iterator_can_be_made_repeatable():
    burst = Burst([PIXELS] * 2)
    assert burst.repeatable() is burst
    kept = Burst(iter([PIXELS] * 2)).repeatable()
    assert kept.count == 2
    assert len(list(kept)) == len(list(kept)) == 2


def test_an_array_of_frames_is_a_burst():
    assert Burst(np.stack([PIXELS] * 3)).count == 3


@pytest.mark.parametrize("frames", ["photo.png", b"bytes", Path("photo.png"), Image.fromarray(PIXELS), PIXELS, None, 3])
def test_one_image_is_no_burst(frames):
    with pytest.raises(UnsupportedType, match="give a list of images or of paths"):
        Burst(frames)


def test_no_frames():
    for empty in ([], np.zeros((0, 4, 4, 3), np.uint8)):
        with pytest.raises(InvalidArgument, match="a burst of no frames: give at least one"):
            Burst(empty)
    with pytest.raises(InvalidArgument, match="a burst of no frames"):
        list(Burst(iter([])))


@pytest.mark.parametrize(
    ("odd", "error", "message"),
    [
        (PIXELS[:4], InvalidImage, r"frame 7 has shape \(4, 4, 3\), frame 0 has \(5, 4, 3\): give frames of one shape"),
        (PIXELS[..., 0], InvalidImage, "frame 7 has shape"),
        (
            PIXELS.astype(np.uint16),
            InvalidImage,
            "frame 7 has dtype uint16, frame 0 has uint8: give frames of one dtype",
        ),
        (b"no image", InvalidImage, "frame 7: this is no PNG"),
        ("absent.png", ImageFileError, "frame 7: absent.png: cannot be read"),
        (PIXELS.astype(np.int64), UnsupportedType, "frame 7: images of dtype int64"),
        (None, UnsupportedType, "frame 7: an image cannot be of type NoneType"),
    ],
)
def test_one_frame_among_ten_that_cannot_be_used_is_named(odd, error, message):
    with pytest.raises(error, match=message):
        list(Burst([PIXELS] * 7 + [odd] + [PIXELS] * 2))
