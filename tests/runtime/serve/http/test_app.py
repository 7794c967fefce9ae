import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes

import numpy as np
import pytest

import runtime
from runtime.images import Header, decode, encode
from runtime.serve.http.guard import Access
from tests.runtime.images.samples import exif_block, icc_profile, tags

FAST = {"quality": "fast", "refine": "false"}
PNG = {"Content-Type": "image/png"}


def post(client, data, headers=PNG, **query):
    return client.post("/v1/deblur", content=data, params=query, headers=headers)


def check_problem(response, status, code):
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    problem = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert set(problem) == {"type", "title", "status", "detail", "code", "id"}
    assert problem["id"] == response.headers["x-request-id"]
    assert not re.search(r"Traceback|/\w+/\w+|\.py|File ", problem["detail"])
    return problem


def endless(photograph, id):
    """A request on which a stand-in worker works without end."""
    head = f"POST /v1/deblur?stride=4 HTTP/1.1\r\nHost: x\r\nX-Request-ID: {id}\r\n"
    return f"{head}Content-Length: {len(photograph)}\r\n\r\n".encode() + photograph


@pytest.fixture(scope="module")
def expected(pixels):
    return runtime.Deblurrer(device="cpu").restore(pixels, quality="fast", refine=False)


def test_a_photograph_as_body_or_in_a_form_comes_back_restored(real_client, photograph, expected):
    raw = post(real_client, photograph, **FAST)
    form = real_client.post("/v1/deblur", files={"image": ("a.png", photograph)}, data=FAST)
    for response in (raw, form):
        assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
        assert (decode(response.content)[0] == expected.image).all()
        assert response.headers["deblur-model"] == "auto"
        assert response.headers["deblur-kernel-size"] == "x".join(map(str, expected.kernel.shape))
        assert "deblur-code" not in response.headers
        assert {"queue", "decode", "network", "encode"} <= set(
            re.findall(r"([\w-]+);dur=", response.headers["server-timing"])
        )


def test_a_form_is_answered_with_photograph_kernel_and_report(real_client, photograph, expected):
    accept = {"Accept": "multipart/form-data, image/tiff", **PNG}
    response = post(real_client, photograph, headers=accept, **FAST)
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    content = message_from_bytes(head + response.content).get_payload()
    parts = {part.get_param("name", header="content-disposition"): part for part in content}
    assert list(parts) == ["report", "image", "kernel"]
    pixels, header = decode(parts["image"].get_payload(decode=True))
    assert header.format == "TIFF"
    assert (pixels == expected.image).all()
    assert decode(parts["kernel"].get_payload(decode=True))[0].max() == 255
    report = json.loads(parts["report"].get_payload())
    assert report["kernel_size"] == list(expected.kernel.shape)
    assert report["timings"]["queue"] >= 0
    assert report["id"] == response.headers["x-request-id"]


def test_headers_say_what_was_found(real_client, photograph, pixels):
    headers = post(real_client, photograph, quality="fast").headers
    result = runtime.Deblurrer(device="cpu").restore(pixels, quality="fast")
    assert headers["deblur-confidence"] == f"{result.confidence:.4f}"
    assert headers["deblur-response"] == str(result.response)
    assert headers["vary"] == "Accept"
    assert "deblur-confidence" not in post(real_client, photograph, **FAST).headers
    captioned = encode(decode(photograph)[0], Header("JPEG", iptc=b"\x1c\x02\x05\x00\x01a"))
    webp = post(real_client, captioned, headers={"Accept": "image/webp"}, **FAST, strength=0)
    assert webp.headers["deblur-warnings"] == "1"


@pytest.mark.parametrize(
    ("accept", "format", "depth"),
    [
        ("*/*", "TIFF", np.uint16),
        ("image/tiff", "TIFF", np.uint16),
        ("image/png", "PNG", np.uint16),
        ("image/jpeg", "JPEG", np.uint8),
        ("image/webp", "WEBP", np.uint8),
    ],
)
def test_every_format_keeps_the_profile_the_metadata_and_the_depth_that_it_can_hold(
    real_client, pixels, accept, format, depth
):
    data = encode(pixels.astype(np.uint16) * 257, Header("TIFF", icc_profile(), exif_block()))
    response = post(real_client, data, headers={"Content-Type": "image/tiff", "Accept": accept}, **FAST)
    restored, header = decode(response.content)
    assert (response.headers["content-type"], header.format) == (f"image/{format.lower()}", format)
    assert (restored.dtype, restored.shape) == (depth, pixels.shape)
    assert header.icc_profile == icc_profile()
    assert tags(header.exif)[0x010F] == "Maker"
    assert not np.array_equal(restored.astype(float) * (255 / np.iinfo(depth).max), pixels)


def test_what_is_unchanged_says_why_and_has_the_same_bytes(real_client, pixels):
    flat = encode(np.full_like(pixels, 128), Header("PNG"))
    response = post(real_client, flat, quality="fast")
    assert response.content == flat
    assert response.headers["deblur-code"]
    assert response.headers["deblur-reason"]


def test_bursts_and_known_blurs(real_client, photograph, pixels):
    files = [("frames", ("a.png", photograph))] * 2
    response = real_client.post("/v1/burst", files=files, data={"register": "false"})
    assert (decode(response.content)[0] == pixels).all()
    assert (response.headers["deblur-frames"], response.headers["deblur-reference"]) == ("0,1", "0")
    stream, kernel = io.BytesIO(), np.full((1, 7), 1 / 7)
    np.save(stream, kernel)
    files = {"image": ("a.png", photograph), "kernel": ("k.npy", stream.getvalue())}
    response = real_client.post("/v1/deconvolve", files=files, params={"quality": "fast"})
    assert (decode(response.content)[0] == runtime.deconvolve(pixels, kernel, quality="fast", device="cpu")).all()
    assert "deblur-model" not in response.headers


def test_many_clients_each_get_their_own_photograph(real_client, pixels):
    photographs = [encode(np.roll(pixels, 5 * number, axis=0), Header("PNG")) for number in range(8)]
    deblurrer = runtime.Deblurrer(device="cpu")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda data: post(real_client, data, **FAST), photographs))
    for number, (answer, data) in enumerate(zip(answers, photographs, strict=True)):
        wanted = deblurrer.restore(decode(data)[0], quality="fast", refine=False).image
        assert (decode(answer.content)[0] == wanted).all(), number


def test_health_readiness_models_and_description(real_client):
    assert real_client.get("/healthz").status_code == 200
    assert real_client.get("/readyz").status_code == 200
    assert {model["name"] for model in real_client.get("/v1/models").json()} >= {"chakrabarti-compact", "fba"}
    assert set(real_client.get("/openapi.json").json()["paths"]) >= {"/v1/deblur", "/v1/deconvolve", "/v1/burst"}
    metrics = real_client.get("/metrics")
    assert "deblur_requests_total" in metrics.text


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "code"),
    [
        ("/v1/deblur", b"", PNG, 400, "malformed"),
        ("/v1/deblur", b"--a\r\n", {"Content-Type": "multipart/form-data; boundary=a"}, 400, "malformed"),
        ("/v1/deblur", b"x", {"Content-Type": "multipart/form-data"}, 400, "malformed"),
        ("/v1/burst", b"--a--\r\n", {"Content-Type": "multipart/form-data; boundary=a"}, 400, "malformed"),
        ("/v1/deblur", b"no photograph", PNG, 415, "undecodable"),
        ("/v1/deblur", b"GIF89a" + bytes(40), {"Content-Type": "image/gif"}, 415, "undecodable"),
        ("/v1/deblur", b"{}", {"Content-Type": "application/json"}, 415, "undecodable"),
        ("/v1/burst", b"x", PNG, 415, "undecodable"),
        ("/v1/deblur", b"x", {**PNG, "Accept": "text/html"}, 406, "not-acceptable"),
        ("/v1/deblur?quality=superb", b"x", PNG, 422, "invalid-option"),
        ("/v1/deblur?model=../../etc", b"x", PNG, 422, "invalid-option"),
        ("/v1/nothing", b"x", PNG, 404, "not-found"),
        ("/healthz", b"x", PNG, 405, "method-not-allowed"),
    ],
)
def test_errors_are_problems(real_client, path, content, headers, status, code):
    check_problem(real_client.post(path, content=content, headers=headers), status, code)


@pytest.mark.parametrize(
    ("path", "files", "message"),
    [
        ("/v1/deblur", [("picture", ("a", b"x"))], "name"),
        ("/v1/deblur", [("image", ("a", b""))], "empty"),
        ("/v1/deblur", [("image", ("a", b"x"))] * 2, "more than one"),
        ("/v1/deconvolve", [("image", ("a", b"x"))], "missing"),
        ("/v1/deconvolve", [("image", ("a", b"x")), ("kernel", ("k", b"x")), ("motion", ("m", b"x"))], "twice"),
        ("/v1/deconvolve", [("kernel", ("k", b"x"))], "no photograph"),
    ],
)
def test_forms_that_miss_something_are_malformed(real_client, path, files, message):
    problem = check_problem(real_client.post(path, files=files), 400, "malformed")
    assert message in problem["detail"]


def test_a_damaged_photograph_and_a_bomb_are_refused(real_client, photograph):
    check_problem(post(real_client, photograph[: len(photograph) // 2]), 415, "undecodable")
    bomb = encode(np.zeros((9000, 9000), np.uint8), Header("PNG"))
    assert len(bomb) < 100_000
    check_problem(post(real_client, bomb), 422, "too-many-pixels")


def test_a_body_that_is_too_large_is_refused_before_it_has_arrived(serving, raw, patience):
    service, client = serving(request_bytes=100_000)
    head = b"POST /v1/deblur HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
    stated = raw(client, head + b"Content-Length: 1000000000\r\n\r\n" + bytes(1000))
    assert b" 413 " in stated.recv(1000)
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    streamed = raw(client, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    for _ in range(2):
        streamed.sendall(chunk)
    assert b" 413 " in streamed.recv(1000)
    assert service.budget.held == 0
    assert b'outcome="too-many-bytes"} 2.0' in service.metrics.text()


def test_a_client_that_sends_all_before_it_reads_gets_its_refusal(serving, raw):
    _, client = serving(request_bytes=100_000)
    head = b"POST /v1/deblur HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 20000000\r\n\r\n"
    assert b" 413 " in raw(client, head + bytes(20_000_000)).recv(1000)


def test_bodies_of_all_clients_together_are_bounded(serving, raw, until):
    service, client = serving(bytes_held=100_000)
    head = b"POST /v1/deblur HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 90000\r\n\r\n"
    waiting = raw(client, head + bytes(80_000))
    until(lambda: service.budget.held == 80_000)
    check_problem(post(client, bytes(30_000)), 503, "saturated")
    waiting.close()
    until(lambda: service.budget.held == 0)


def test_a_client_that_sends_too_slowly_is_told_so(serving, raw):
    _, client = serving(body_seconds=0.3)
    slow = raw(client, b"POST /v1/deblur HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    assert b" 408 " in slow.recv(1000)


def test_an_upload_that_is_broken_off_leaves_nothing(serving, raw, until, photograph):
    service, client = serving()
    aborted = raw(client, b"POST /v1/deblur HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + bytes(2000))
    until(lambda: service.budget.held == 2000)
    aborted.close()
    until(lambda: service.budget.held == 0)
    assert post(client, photograph).status_code == 200


def test_a_request_whose_client_goes_is_ended(serving, raw, until, photograph):
    service, client = serving()
    connection = raw(client, endless(photograph, "gone"))
    until(lambda: (service.state_of("gone") or {}).get("state") == "running")
    connection.close()
    until(lambda: service.state_of("gone")["state"] == "failed")
    assert b'outcome="abandoned"} 1.0' in service.metrics.text()
    until(lambda: service.budget.held == 0)


def test_a_full_service_refuses_within_fifty_milliseconds(serving, raw, until, photograph):
    service, client = serving(queue=1)
    raw(client, endless(photograph, "first"))
    until(lambda: b"deblur_in_work 1.0" in service.metrics.text())
    raw(client, endless(photograph, "second"))
    until(lambda: b"deblur_queue_length 1.0" in service.metrics.text())
    times = []
    for _ in range(20):
        began = time.perf_counter()
        response = post(client, photograph)
        times.append(time.perf_counter() - began)
        check_problem(response, 503, "saturated")
        assert response.headers["retry-after"] == "5"
    assert min(times) < 0.05


def test_outcomes_of_workers_are_told(serving, photograph):
    _, client = serving(deadline=0.5, per_client=1)
    check_problem(post(client, photograph, noise=0.99), 504, "too-late")
    check_problem(post(client, photograph, stride=2), 502, "worker-lost")
    check_problem(post(client, photograph, stride=6), 422, "invalid-image")
    check_problem(post(client, photograph, stride=7), 507, "out-of-memory")


def test_a_burst_of_too_many_frames_is_refused(serving, photograph):
    _, client = serving(frames=2)
    response = client.post("/v1/burst", files=[("frames", ("a.png", photograph))] * 3)
    check_problem(response, 422, "too-many-frames")


def test_before_a_worker_is_ready_requests_are_told_to_come_again(unstarted, photograph):
    response = post(unstarted, photograph)
    check_problem(response, 503, "starting")
    assert response.headers["retry-after"] == "5"
    assert unstarted.get("/readyz").status_code == 503
    assert unstarted.get("/healthz").status_code == 200


def test_every_refusal_is_counted_once(serving, photograph):
    service, client = serving()
    post(client, b"")
    post(client, photograph, quality="superb")
    post(client, b"no photograph")
    post(client, photograph, headers={**PNG, "Accept": "text/html"})
    text = service.metrics.text().decode()
    counts = dict(re.findall(r'deblur_requests_total\{kind="deblur",outcome="([a-z-]+)"\} ([\d.]+)', text))
    assert counts == {"malformed": "1.0", "invalid-option": "1.0", "undecodable": "1.0", "not-acceptable": "1.0"}


def test_a_client_has_its_quota(serving, raw, until, photograph):
    service, client = serving(per_client=1)
    first = raw(client, endless(photograph, "first"))
    until(lambda: b"deblur_in_work 1.0" in service.metrics.text())
    response = post(client, photograph)
    check_problem(response, 429, "too-many-requests")
    assert response.headers["retry-after"]
    first.close()
    until(lambda: service.state_of("first")["state"] == "failed")
    service.check_open("127.0.0.1")


def test_a_service_that_drains_says_so(serving, photograph):
    service, client = serving()
    service.drain(0)
    check_problem(post(client, photograph), 503, "draining")
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_progress_can_be_asked_for(serving, until, photograph):
    _, client = serving()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, client, photograph, headers={**PNG, "X-Request-ID": "mine"}, noise=0.5)
        until(lambda: client.get("/v1/requests/mine").json().get("stage") == "half")
        assert client.get("/v1/requests/mine").json()["state"] == "running"
        assert answer.result().headers["x-request-id"] == "mine"
    assert client.get("/v1/requests/mine").json()["state"] == "done"
    check_problem(client.get("/v1/requests/other"), 404, "not-found")


def test_faults_of_the_service_show_nothing(serving, monkeypatch, photograph):
    service, client = serving()

    def fail(request):
        raise RuntimeError("/home/secret.py is broken")

    monkeypatch.setattr(service, "submit", fail)
    check_problem(post(client, photograph), 500, "failed")
    assert service.budget.held == 0


def test_a_token_is_asked_for(serving, photograph):
    _, client = serving(Access(token="t" * 20))
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {'t' * 20}"}):
        response = post(client, photograph, headers={**PNG, **headers})
        check_problem(response, 401, "unauthorised")
        assert response.headers["www-authenticate"] == "Bearer"
    assert client.get("/metrics").status_code == 401
    assert client.get("/readyz").status_code == 200
    assert post(client, photograph, headers={**PNG, "Authorization": f"Bearer {'t' * 20}"}).status_code == 200
