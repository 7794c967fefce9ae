import io
import threading
import time
import weakref
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from runtime.errors import InvalidArgument, InvalidImage, MetadataLost
from runtime.images import decode
from runtime.results import Restoration
from runtime.serve.encoded import Finished, open_encoded, restore_each, restore_one
from tests.support.deblurrers import StandIn

PATIENCE = 20
"""Seconds after which a test that hangs fails."""
PIXELS = np.random.default_rng(1).integers(0, 256, (9, 7, 3), np.uint8)


class Negative(StandIn):
    """Restores a photograph to its negative, or leaves it unchanged."""

    def __init__(self, reason=None, code=None):
        self.why = {"reason": reason, "code": code}

    def answer(self, pixels, **options):
        image = pixels if any(self.why.values()) else 255 - pixels
        return Restoration(image, None, None, None, {"thinking": 3.0}, "negative", 0.5, **self.why)


class File:
    """A source with the content of a file."""

    def __init__(self, data, format=None, **options):
        self.data, self.format, self.options = data, format, options

    def open(self):
        return open_encoded(self.data, self.format)


def encoded(kind, **how):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **how)
    return stream.getvalue()


def alone(deblurrer, source, **options):
    return restore_one(deblurrer, source, **options)


def among_others(deblurrer, source, **options):
    others = [File(encoded("PNG")), source, File(encoded("PNG"))]
    outcome = dict(restore_each(deblurrer, others, **options))[source]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@pytest.fixture(params=[alone, among_others])
def restored(request):
    """Restore a photograph, by itself or with others."""
    return request.param


def test_the_result_has_the_format_and_the_metadata_of_the_photograph(restored):
    found = restored(Negative(), File(encoded("PNG", dpi=(300, 300))))
    picture = Image.open(io.BytesIO(found.encode()))
    assert picture.format == "PNG"
    assert picture.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    np.testing.assert_array_equal(np.asarray(picture), 255 - PIXELS)
    np.testing.assert_array_equal(found.opened.pixels, PIXELS)
    assert not found.unchanged


def test_another_format_can_be_asked_for(restored):
    pixels, header = decode(restored(Negative(), File(encoded("PNG"), "TIFF")).encode())
    assert header.format == "TIFF"
    np.testing.assert_array_equal(pixels, 255 - PIXELS)


def test_of_several_pictures_the_first_is_restored_and_the_others_are_said_to_be_left_out(restored):
    found = restored(Negative(), File(encoded("MPO", save_all=True, append_images=[Image.fromarray(PIXELS)])))
    with pytest.warns(MetadataLost, match=r"without further pictures \(MPF\): keep the original"):
        picture = Image.open(io.BytesIO(found.encode()))
    assert (picture.format, getattr(picture, "n_frames", 1)) == ("JPEG", 1)
    np.testing.assert_array_equal(found.opened.pixels, decode(encoded("JPEG"))[0])


@pytest.mark.parametrize(("why", "strength"), [({"reason": "sharp"}, 1.0), ({"code": "sharp"}, 1.0), ({}, 0.0)])
def test_an_unchanged_photograph_keeps_its_bytes(restored, why, strength):
    data = encoded("JPEG", quality=60)
    for found in (
        restored(Negative(**why), File(data), strength=strength),
        restored(Negative(**why), File(data, strength=strength)),
    ):
        assert found.encode() == data
        assert found.unchanged
    other = restored(Negative("sharp already"), File(data, "PNG"))
    assert decode(other.encode())[1].format == "PNG"


def test_what_the_format_cannot_store_is_said_before_the_work(restored):
    class Never(Negative):
        def answer(self, pixels, **options):
            assert pixels.shape == PIXELS.shape, "the work has begun"
            return super().answer(pixels)

    stream = io.BytesIO()
    Image.fromarray(PIXELS[..., [0, 1, 2, 0]]).save(stream, "PNG")
    with pytest.raises(InvalidImage, match="transparent"):
        restored(Never(), File(stream.getvalue(), "JPEG"))


def test_each_comes_in_its_place_with_its_source_restored_or_not():
    class Done(File):
        def open(self):
            raise Finished

    sources = [File(encoded("PNG")), File(b"no picture"), Done(b""), File(encoded("WEBP"), quality="fast")]
    found = list(restore_each(Negative(), sources))
    assert [source for source, _ in found] == sources
    kinds = [outcome if isinstance(outcome, Exception) else outcome.opened.format for _, outcome in found]
    assert (kinds[0], kinds[3]) == ("PNG", "WEBP")
    assert [type(kind) for kind in kinds[1:3]] == [InvalidImage, Finished]


def test_the_time_of_a_photograph_leaves_out_what_it_waited_for_others():
    outcomes = [outcome for _, outcome in restore_each(Negative(), [File(encoded("PNG")), File(encoded("PNG"))])]
    assert [outcome.seconds - outcome.opening for outcome in outcomes] == [3.0, 3.0]
    assert all(0 < outcome.opening < PATIENCE for outcome in outcomes)


def test_the_next_ones_are_opened_and_restored_while_a_result_is_encoded():
    restored = threading.Semaphore(0)

    class Telling(Negative):
        def answer(self, pixels, **options):
            restored.release()
            return super().answer(pixels)

    outcomes = restore_each(Telling(), [File(encoded("PNG"))] * 3)
    next(outcomes)
    for _ in range(3):  # nobody takes a result meanwhile
        assert restored.acquire(timeout=PATIENCE)
    assert len(list(outcomes)) == 2


def test_a_result_is_not_kept_while_the_next_one_is_waited_for():
    more, waiting = threading.Event(), threading.Event()

    def sources():
        yield File(encoded("PNG"))
        waiting.set()
        assert more.wait(PATIENCE)
        yield File(encoded("PNG"))

    outcomes = restore_each(Negative(), sources())
    _, outcome = next(outcomes)
    kept = weakref.ref(outcome.result)
    del outcome
    assert waiting.wait(PATIENCE)
    thread = threading.Thread(target=lambda: next(outcomes), daemon=True)
    thread.start()
    end = time.monotonic() + PATIENCE / 4
    while kept() is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert kept() is None
    more.set()
    thread.join(PATIENCE)


def test_closing_ends_the_work():
    opened = []

    class Counted(File):
        def open(self):
            opened.append(self)
            return super().open()

    with closing(restore_each(Negative(), (Counted(encoded("PNG")) for _ in range(1000)))) as outcomes:
        next(outcomes)
    assert len(opened) < 20


def test_what_holds_for_all_is_refused_at_once():
    class Strict(Negative):
        def _checked(self, **options):
            raise InvalidArgument("quality")

    with pytest.raises(InvalidArgument, match="quality"):
        restore_each(Strict(), [File(b"")], quality="superb")
