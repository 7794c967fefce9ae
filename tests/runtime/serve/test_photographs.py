import io

import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidImage
from runtime.images import decode
from runtime.results import Restoration
from runtime.serve.photographs import is_whole, photographs_among, restore_encoded


class Negative:
    """Restores a photograph to its negative, or leaves it unchanged."""

    def __init__(self, reason=None):
        self.reason = reason

    def restore(self, pixels, **options):
        image = pixels if self.reason else 255 - pixels
        return Restoration(image, None, None, None, {}, "negative", 0.5, reason=self.reason)


PIXELS = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)


def encoded(kind, **how):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **how)
    return stream.getvalue()


def test_the_result_has_the_format_and_the_metadata_of_the_photograph():
    restored = restore_encoded(Negative(), encoded("PNG", dpi=(300, 300)))
    picture = Image.open(io.BytesIO(restored.data))
    assert picture.format == "PNG"
    assert picture.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    np.testing.assert_array_equal(np.asarray(picture), 255 - PIXELS)
    np.testing.assert_array_equal(restored.pixels, PIXELS)
    assert not restored.unchanged


def test_another_format_can_be_asked_for():
    restored = restore_encoded(Negative(), encoded("PNG"), "TIFF")
    pixels, header = decode(restored.data)
    assert header.format == "TIFF"
    np.testing.assert_array_equal(pixels, 255 - PIXELS)


@pytest.mark.parametrize(("reason", "strength"), [("sharp already", 1.0), (None, 0.0)])
def test_an_unchanged_photograph_keeps_its_bytes(reason, strength):
    data = encoded("JPEG", quality=60)
    assert restore_encoded(Negative(reason), data, strength=strength).data == data
    assert restore_encoded(Negative(reason), data, strength=strength).unchanged
    other = restore_encoded(Negative("sharp already"), data, "PNG")
    assert decode(other.data)[1].format == "PNG"


def test_what_the_format_cannot_store_is_said_before_the_work():
    class Never:
        def restore(self, pixels, **options):
            raise AssertionError("the work has begun")

    stream = io.BytesIO()
    Image.fromarray(PIXELS[..., [0, 1, 2, 0]]).save(stream, "PNG")
    with pytest.raises(InvalidImage, match="transparent"):
        restore_encoded(Never(), stream.getvalue(), "JPEG")


def test_photographs_are_told_from_what_lies_beside_them():
    names = ["b.JPG", "._b.JPG", "notes.txt", "a.png", "a.kernel.png", "a.kernel.npy", "c.kernel.png", "d.motion.npy"]
    assert photographs_among(names) == ["b.JPG", "a.png", "c.kernel.png"]


def test_a_file_is_whole_if_it_can_be_read(tmp_path):
    whole, cut, values = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.npy"
    whole.write_bytes(encoded("PNG"))
    cut.write_bytes(encoded("PNG")[:100])
    np.save(values, PIXELS)
    assert is_whole(str(whole))
    assert is_whole(str(values))
    assert not is_whole(str(cut))
    values.write_bytes(values.read_bytes()[:-4])
    assert not is_whole(str(values))
    assert not is_whole(str(tmp_path / "none.png"))
