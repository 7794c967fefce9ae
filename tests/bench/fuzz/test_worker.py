import io
import json

import pytest

from bench.fuzz.case import FAILED, RESULT
from bench.fuzz.worker import run_case, serve
from tests.bench.fuzz.fakes import FAKE


class Silent:
    def __init__(self, *texts):
        self.texts = list(texts)

    def text(self):
        return self.texts.pop(0)


def test_numbers_are_answered_with_outcomes():
    answers = io.StringIO()
    serve(FAKE, 0, None, io.StringIO("0\n1\n0\n"), answers, Silent("", "", "libfoo: \n warning"))
    outcomes = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert [(each["kind"], each["what"]) for each in outcomes] == [
        ("result", ""), ("refused", "InvalidImage"), ("failed", "printed: libfoo: warning"),
    ]  # fmt: skip


def test_a_case_that_takes_too_much_memory_has_failed():
    from bench.fuzz.worker import _forget_peak

    if not _forget_peak():
        pytest.skip("this system does not measure the peak memory of a moment")
    outcome = run_case(FAKE, 0, 7)
    assert outcome.kind == FAILED
    assert outcome.what.endswith("MiB taken, more than 200")
    assert run_case(FAKE, 0, 8).kind == RESULT


def test_the_files_of_a_case_are_kept_on_request(tmp_path):
    run_case(FAKE, 0, 3, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert kept.name == "fake-0-3"
    assert len((kept / "input.bin").read_bytes()) == 10
