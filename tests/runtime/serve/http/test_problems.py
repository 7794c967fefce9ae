import json
from http import HTTPStatus

import pytest

from runtime.serve.http.problems import STATUS, problem
from runtime.serve.refusals import Refusal


@pytest.mark.parametrize("code", STATUS)
def test_each_code_has_a_status(code):
    response = problem(Refusal(code, "no: do that", 3), "id")
    content = json.loads(response.body)
    assert content["detail"] == "no: do that"
    assert response.status_code == content["status"] == STATUS[code]
    assert content["title"] == (HTTPStatus(STATUS[code]).phrase if STATUS[code] != 499 else "Client Closed Request")
    assert response.headers["retry-after"] == "3"


def test_without_a_time_nothing_is_said_of_trying_again():
    assert "retry-after" not in problem(Refusal("failed", "no"), "id").headers


def test_the_documentation_lists_the_codes():
    from pathlib import Path

    text = (Path(__file__).parents[4] / "docs" / "service.md").read_text(encoding="utf-8")
    assert not [code for code in STATUS if code != "abandoned" and f"`{code}`" not in text]
