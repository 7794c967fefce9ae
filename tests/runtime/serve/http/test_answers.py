from runtime.serve.http.answers import photograph
from runtime.serve.tickets import Response

REPORT = {
    "model": "some", "confidence": 0.75, "code": None, "reason": None, "response": "srgb",
    "kernel_size": [5, 7], "kernel_class": "small", "width": 4, "height": 3,
    "format": "JPEG", "timings": {"kernel estimate": 0.0015}, "warnings": [],
}  # fmt: skip


def test_what_was_found_is_in_the_headers():
    answer = photograph(Response(REPORT, b"photograph", b"", 0.25), "id", form=False)
    assert (answer.body, answer.media_type) == (b"photograph", "image/jpeg")
    assert answer.headers["deblur-confidence"] == "0.7500"
    assert answer.headers["deblur-kernel-size"] == "5x7"
    assert answer.headers["deblur-kernel-class"] == "small"
    assert answer.headers["deblur-response"] == "srgb"
    assert answer.headers["server-timing"] == "queue;dur=250.0, kernel-estimate;dur=1.5"
    for absent in ("deblur-code", "deblur-reason", "deblur-frames", "deblur-warnings"):
        assert absent not in answer.headers


def test_texts_that_headers_cannot_hold_are_made_plain():
    report = {**REPORT, "code": "sharp", "reason": "already “sharp”", "warnings": ["a", "b"]}
    answer = photograph(Response(report, b"", b"", 0), "id", form=False)
    assert answer.headers["deblur-reason"] == "already ?sharp?"
    assert answer.headers["deblur-warnings"] == "2"


def test_a_form_has_no_kernel_where_there_is_none():
    answer = photograph(Response(REPORT, b"photograph", b"", 0), "id", form=True)
    assert b'name="kernel"' not in answer.body
    assert b'name="image"; filename="photograph.jpg"' in answer.body
