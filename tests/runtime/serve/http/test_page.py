import re

import pytest

from kernels.cancellation import START
from runtime.decisions.reasons import Reason
from runtime.estimation import quotients
from runtime.estimation.kernel import search as kernel_search
from runtime.estimation.motion import network
from runtime.estimation.poses import search as pose_search
from runtime.inference import patch_engine

ADDRESSES = {"/": "text/html", "/page/style.css": "text/css", "/page/page.js": "text/javascript"}


@pytest.fixture
def client(serving):
    return serving()[1]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_page_comes_with_its_policy(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(ADDRESSES[address])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-cache"


def test_nothing_is_fetched_from_elsewhere_and_nothing_is_inline(client):
    texts = {address: client.get(address).text for address in ADDRESSES}
    for text in texts.values():
        assert not re.search(r"https?://|//cdn|@import|innerHTML|\beval\(", text)
    page = texts["/"]
    assert not re.search(r"<style|<script>|\sstyle=|\son\w+=", page)
    assert set(re.findall(r'(?:href|src)="(/[^"]*)"', page)) == set(ADDRESSES) - {"/"}


def test_what_the_script_asks_for_is_there(client):
    page, script = client.get("/").text, client.get("/page/page.js").text
    ids = set(re.findall(r'id="([\w-]+)"', page))
    assert set(re.findall(r'part\("([\w-]+)"\)', script)) <= ids
    assert set(re.findall(r'for="([\w-]+)"', page)) <= ids


def words(script, name):
    """The keys of a table of words in the script."""
    (table,) = re.findall(rf"const {name} = {{(.*?)}};", script, re.DOTALL)
    return set(re.findall(r'^ *"?([\w -]+?)"?: "', table, re.MULTILINE))


def test_the_script_has_words_for_every_stage_and_every_reason(client):
    script = client.get("/page/page.js").text
    stages = {module.STAGE for module in (patch_engine, kernel_search, pose_search, network, quotients)}
    assert words(script, "STAGES") == stages | {START, "kernel", "deconvolve"}
    assert words(script, "REASONS") == {reason.code for reason in Reason}
