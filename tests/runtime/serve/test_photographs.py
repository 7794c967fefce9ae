import io

import numpy as np
from PIL import Image

from runtime.serve.photographs import is_whole, photographs_among

PIXELS = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)


def encoded(kind):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind)
    return stream.getvalue()


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
