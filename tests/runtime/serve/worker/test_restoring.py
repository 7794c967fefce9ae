import io
import logging

import numpy as np
import pytest

import runtime
from runtime.errors import InvalidArgument, InvalidImage, InvalidModel, OutOfMemory, UnsupportedType
from runtime.images import Header, decode, encode
from runtime.images.header import Text
from runtime.serve.refusals import FAILED, Refusal
from runtime.serve.worker.restoring import (
    Answer,
    Job,
    Restorer,
    answer_each,
    open_photograph,
    read_kernel,
    read_numbers,
    refusal_of,
)

FAST = {"quality": "fast", "refine": False}


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def deblurrer():
    return runtime.Deblurrer(device="cpu")


def answers_to(deblurrer, jobs):
    answers = {}
    answer_each(
        deblurrer, iter(jobs), lambda job, answer: answers.update({job.id: answer}), lambda job: lambda *_: None
    )
    return answers


def test_each_request_is_answered_once_and_a_bad_one_does_not_end_the_stream(deblurrer, pixels, photograph):
    jobs = [
        Job(1, "deblur", FAST, None, [photograph]),
        Job(2, "deblur", FAST, None, [b"\x89PNG\r\n\x1a\n damaged"]),
        Job(3, "deblur", {**FAST, "noise": 0.01, "stride": 3}, "JPEG", [photograph]),
        Job(4, "deblur", {"quality": "fast", "neural": False, "stride": 4, "support": 3}, None, [photograph]),
    ]
    answers = answers_to(deblurrer, jobs)
    assert (decode(answers[1].photograph)[0] == deblurrer.restore(pixels, **FAST).image).all()
    assert answers[2].code == "undecodable"
    assert decode(answers[3].photograph)[1].format == "JPEG"
    assert len(answers) == 4


def test_metadata_and_depth_are_kept_and_what_is_lost_is_said(deblurrer, pixels):
    sixteen = encode(pixels.astype(np.uint16) * 257, Header("PNG", texts=(Text("Title", "a cat"),)))
    captioned = encode(pixels, Header("JPEG", iptc=b"\x1c\x02\x05\x00\x01a"))
    jobs = [Job(1, "deblur", FAST, None, [sixteen]), Job(2, "deblur", FAST, "WEBP", [captioned])]
    answers = answers_to(deblurrer, jobs)
    kept, header = decode(answers[1].photograph)
    assert kept.dtype == np.uint16
    assert header.texts[0].value == "a cat"
    assert answers[1].report["warnings"] == []
    assert answers[2].report["format"] == "WEBP"
    assert "IPTC" in answers[2].report["warnings"][0]


def test_what_the_format_of_the_answer_cannot_store_is_refused_before_the_work(pixels):
    wide = encode(np.zeros((2, 20_000), np.uint8), Header("PNG"))
    with pytest.raises(InvalidImage):
        open_photograph(wide, "WEBP")


def test_a_motion_is_undone(pixels, photograph):
    motion = np.zeros((*pixels.shape[:2], 2), np.float32)
    motion[..., 0] = 7
    job = Job(1, "deconvolve", {}, None, [photograph, saved(motion)], "motion")
    answer = Restorer("cpu").deconvolve(job, lambda *_: None)
    assert (decode(answer.photograph)[0] == runtime.deconvolve(pixels, motion=motion, device="cpu")).all()


def test_a_frame_that_is_left_out_is_said(photograph, pixels):
    other = encode(np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8), Header("PNG"))
    job = Job(1, "burst", {}, None, [photograph, photograph, other])
    answer = Restorer("cpu").restore_burst(job, lambda *_: None)
    assert answer.report["frames"] == [0, 1]
    assert "frame 2 is left out" in answer.report["warnings"][0]


@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_are_read(order):
    array = np.asarray(np.arange(6.0).reshape(2, 3), order=order)
    np.testing.assert_array_equal(read_numbers(saved(array)), array)
    np.testing.assert_array_equal(read_kernel(saved(array)), array)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        saved(np.array([{"a": 1}], dtype=object), allow_pickle=True),
        saved(np.ones((3, 3)))[:-1],
        saved(np.ones((3, 3))).replace(b"(3, 3)", b"(9999999, 9999999)"),
        saved(np.ones((3, 3), complex)),
        saved(np.array(["a"])),
    ],
)
def test_files_that_hold_no_plain_numbers_are_refused(data):
    with pytest.raises(InvalidArgument, match=r"numpy\.save"):
        read_numbers(data)


def test_a_kernel_can_be_a_picture():
    levels = np.array([[0, 255, 51]], np.uint8)
    np.testing.assert_allclose(read_kernel(encode(levels, Header("PNG"))), [[0, 255 / 306, 51 / 306]])
    np.testing.assert_allclose(
        read_kernel(encode(np.repeat(levels[..., None], 3, axis=2), Header("PNG"))), [[0, 255 / 306, 51 / 306]]
    )
    with pytest.raises(InvalidArgument, match="black"):
        read_kernel(encode(np.zeros((3, 3), np.uint8), Header("PNG")))
    with pytest.raises(InvalidArgument, match="neither"):
        read_kernel(b"nothing")


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (Refusal("undecodable", "no picture"), "undecodable", "no picture"),
        (InvalidImage("the image holds NaN: replace them"), "invalid-image", "the image holds NaN: replace them"),
        (UnsupportedType("dtype"), "invalid-image", "dtype"),
        (InvalidArgument("stride: give 1"), "invalid-option", "stride: give 1"),
        (OutOfMemory("16 GiB"), "out-of-memory", None),
        (MemoryError(), "out-of-memory", None),
        (InvalidModel("/home/me/model: broken"), "failed", FAILED),
        (RuntimeError("/usr/lib/secret.so"), "failed", FAILED),
    ],
)
def test_clients_are_told_what_concerns_them(error, code, detail, caplog):
    with caplog.at_level(logging.ERROR, "runtime"):
        refusal = refusal_of(error)
    assert refusal.code == code
    assert detail in (None, refusal.detail)
    assert "GiB" not in refusal.detail
    assert bool(caplog.records) == (code == "failed")


def test_an_answer_is_made_of_a_report_and_files():
    assert Answer({}, b"photograph").kernel == b""
