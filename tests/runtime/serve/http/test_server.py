import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from runtime.images import Header, encode

SERVE = ("-m", "runtime.cli", "serve", "--port", "0", "--device")
ROOT = Path(__file__).parents[4]


STAND_IN = """
import sys
from runtime.serve import workers
from runtime.serve.http.guard import Access
from runtime.serve.http.server import serve
from runtime.serve.settings import Settings
from tests.support import stand_in_worker
workers.WORKER = stand_in_worker.COMMAND
done = serve(Settings(devices=("cpu",)), Access(), "127.0.0.1", 0, 60, lambda text: print(text, flush=True))
sys.exit(not done)
"""
"""A service whose workers are stand-ins, see `tests.support.stand_in_worker`."""


@contextmanager
def command(tmp_path, *arguments):
    """Run a service with a home of its own until it is ready; gives the process, a client and its output."""
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, *arguments], stderr=stream, stdout=stream, env=environment, cwd=tmp_path
        )
    try:
        end = time.monotonic() + 120
        while "ready on" not in log.read_text() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        address = re.search(r"ready on (\S+)", log.read_text())
        with httpx.Client(base_url=address[1] if address else "http://none", timeout=60) as client:
            yield process, client, log
    finally:
        process.kill()
        process.wait()


def test_sigterm_under_load_answers_what_was_taken_and_leaves_no_file(tmp_path, photograph, until):
    with command(tmp_path, *SERVE, "cpu") as (process, client, log), ThreadPoolExecutor(6) as pool:
        options = {"params": {"quality": "fast", "refine": "false"}, "headers": {"Content-Type": "image/png"}}
        answers = [pool.submit(client.post, "/v1/deblur", content=photograph, **options) for _ in range(6)]
        until(lambda: "deblur_queue_length 0.0" not in client.get("/metrics").text)
        process.send_signal(signal.SIGTERM)
        assert {answer.result().status_code for answer in answers} <= {200, 503}
        assert [answer.result().status_code for answer in answers].count(200) >= 2
        assert process.wait(60) == 0
        assert "Traceback" not in log.read_text()
    assert [path for path in (tmp_path / "home").rglob("*") if path.is_file()] == []


def test_a_device_that_cannot_be_had_ends_the_command_with_its_reason(tmp_path):
    with command(tmp_path, *SERVE, "cuda:77") as (process, _, log):
        assert process.wait(60) == 1
        lines = log.read_text().splitlines()
        assert "no worker can start" in lines[-1]
        assert not any("Traceback" in line for line in lines)


def test_after_sigterm_new_requests_are_refused_and_a_second_one_ends_the_service_at_once(tmp_path, photograph, until):
    with command(tmp_path, "-c", STAND_IN) as (process, client, log), ThreadPoolExecutor(1) as pool:
        png = {"Content-Type": "image/png"}
        long = pool.submit(client.post, "/v1/deblur?noise=0.99", content=photograph, headers=png)
        endless = pool.submit(client.post, "/v1/deblur?stride=4", content=photograph, headers=png)
        assert long.result().status_code == 200
        until(lambda: "deblur_in_work 1.0" in client.get("/metrics").text)
        process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/readyz").status_code == 503)
        refused = client.post("/v1/deblur", content=photograph, headers=png)
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 1
        assert endless.exception() is not None or endless.result().status_code == 503
        assert "Traceback" not in log.read_text()


LITTLE_MEMORY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (5 << 29, 5 << 29))
from runtime.cli import main
main()
"""
"""The command with 2.5 GiB of addresses, of which a worker at rest takes most."""


def test_a_photograph_that_does_not_fit_into_the_memory_fails_alone(tmp_path, photograph):
    arguments = ("serve", "--port", "0", "--device", "cpu", "--limit-megapixels", "200")
    large = encode(np.zeros((11_000, 11_000, 3), np.uint8), Header("PNG"))
    png, address = {"Content-Type": "image/png"}, "/v1/deblur?quality=fast&refine=false"
    with command(tmp_path, "-c", LITTLE_MEMORY, *arguments) as (_, client, log):
        refused = client.post(address, content=large, headers=png)
        assert (refused.status_code, refused.json()["code"]) == (507, "out-of-memory")
        assert client.post(address, content=photograph, headers=png).status_code == 200
        assert "deblur_worker_deaths_total 0.0" in client.get("/metrics").text
        assert "Traceback" not in log.read_text()
