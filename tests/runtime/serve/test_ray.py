import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np
import pytest

import runtime
from runtime.errors import DeviceUnavailable, InvalidArgument, MissingDependency
from runtime.images import decode
from runtime.serve import ray as module
from runtime.serve.cores import confine_to_cores
from runtime.serve.ray import Replica, Replicas, app, application
from runtime.serve.settings import Settings

pytest.importorskip("fastapi", reason="needs the extra serve")

ROOT = Path(__file__).parents[3]
TOKEN = "0123456789abcdef"
WORKER = b"runtime.serve.worker.process"


def test_ray_is_not_imported_before_it_is_needed():
    check = "import sys, runtime.serve.ray; sys.exit('ray' in sys.modules or 'fastapi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"cores": 0}, "cores"),
        ({"gpus": -1}, "gpus"),
        ({"count": 0}, "count"),
        ({"count": 3, "most": 2}, "most"),
        ({"load": 0}, "load"),
        ({"drain_seconds": -1.0}, "drain_seconds"),
    ],
)
def test_what_no_cluster_can_have_is_refused(wrong, words):
    with pytest.raises(InvalidArgument, match=words):
        Replicas(**wrong)


def test_a_replica_uses_the_gpus_that_it_is_given():
    assert Replicas().devices == ("cpu",)
    assert Replicas(gpus=1).devices == ("cuda:0",)
    assert Replicas(gpus=2).devices == ("cuda:0", "cuda:1")


@pytest.fixture
def built(monkeypatch):
    """What `application` is called with."""
    calls = []
    monkeypatch.setattr(module, "application", lambda *parts, **others: calls.append((*parts, others)))
    return calls


def test_arguments_may_be_text_or_values(built):
    app({"cores": "2", "most": "4", "queue": "8", "deadline": "1.5", "insecure": "true", "token_file": "a/token"})
    app({"cores": 2, "most": None, "per_client": 3, "insecure": False})
    assert built == [
        (Settings(queue=8, deadline=1.5), Replicas(cores=2, most=4), {"insecure": True, "token_file": Path("a/token")}),
        (Settings(per_client=3), Replicas(cores=2), {"insecure": False}),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"core": "2"}, "no argument 'core': give one of .*cores"),
        ({"devices": "cuda"}, "no argument 'devices'"),
        ({"cores": "two"}, "cores='two' cannot be used: .*integer"),
        ({"cores": "0"}, "cores"),
        ({"queue": "0"}, "queue"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(built, arguments, words):
    with pytest.raises(InvalidArgument, match=words):
        app(arguments)
    assert not built


def test_without_ray_serve_the_mend_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"deblur-runtime\[ray\]"):
        application()


def test_ray_is_told_what_each_replica_needs():
    pytest.importorskip("ray.serve", reason="needs the extra ray", exc_type=ImportError)
    fixed = application(Settings(queue=5), Replicas(cores=3, count=2, drain_seconds=7))._bound_deployment
    assert fixed.name == "deblur"
    assert fixed.num_replicas == 2
    assert fixed.ray_actor_options["num_cpus"] == 3
    assert fixed.ray_actor_options["num_gpus"] == 0
    assert fixed.ray_actor_options["runtime_env"]["env_vars"] == {"OMP_NUM_THREADS": "3"}
    assert fixed.max_queued_requests == 5
    assert fixed.max_ongoing_requests > 2 * 5
    assert fixed.init_args == (Settings(queue=5, devices=("cpu",)), 3, None, False)
    scaled = application(None, Replicas(gpus=1, count=1, most=4, load=3), token_file="token")._bound_deployment
    assert scaled.ray_actor_options["num_gpus"] == 1
    bounds = scaled._deployment_config.autoscaling_config
    assert (bounds.min_replicas, bounds.max_replicas, bounds.target_ongoing_requests) == (1, 4, 3)
    assert scaled.init_args == (Settings(devices=("cuda:0",)), 1, os.path.abspath("token"), False)


@pytest.fixture
def replica(start, monkeypatch):
    """Make replicas whose workers are stand-ins, and which keep the cores of this process."""
    confined = []
    monkeypatch.setattr(module, "confine_to_cores", confined.append)
    made = []

    def replica(device="cpu", token_file=None, insecure=False, **settings):
        made.append(Replica(Settings(devices=(device,), **settings), 3, token_file, insecure))
        assert confined[-1] == 3
        return made[-1]

    yield replica
    for each in made:
        each.__del__()


async def ask(replica, *requests):
    """Return the answers of a replica to requests, each the arguments of `httpx.AsyncClient.request`."""
    transport = httpx.ASGITransport(await replica.__serve_build_asgi_app__())
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return [await client.request(method, path, **others) for method, path, others in requests]


def test_a_replica_gets_requests_once_it_is_ready_and_ends_its_workers(replica, photograph):
    each = replica()
    ready, restored, named, foreign = asyncio.run(
        ask(
            each,
            ("GET", "/readyz", {}),
            ("POST", "/v1/deblur", {"content": photograph}),
            ("GET", "/healthz", {"headers": {"X-Request-ID": "mine"}}),
            ("GET", "/healthz", {"headers": {"Host": "evil.example"}}),
        )
    )
    assert ready.text == "ready"
    assert (restored.status_code, restored.content) == (200, photograph)
    assert restored.headers["x-request-id"]
    assert "x-request-id" not in named.headers  # Ray's proxy adds it
    assert foreign.json()["code"] == "foreign-host"
    each.check_health()
    workers = each._service.process_ids
    each.__del__()
    with pytest.raises(DeviceUnavailable, match="no worker"):
        each.check_health()
    assert workers
    assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)


def test_limits_and_the_token_hold_in_a_replica(replica, photograph, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    each = replica(token_file=str(tmp_path / "token"), pixels=10)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    without, too_large = asyncio.run(
        ask(
            each,
            ("POST", "/v1/deblur", {"content": photograph}),
            ("POST", "/v1/deblur", {"content": photograph, "headers": bearer}),
        )
    )
    assert (without.status_code, without.json()["code"]) == (401, "unauthorised")
    assert (too_large.status_code, too_large.json()["code"]) == (422, "too-many-pixels")


def test_a_replica_of_which_no_worker_can_start_says_why(replica):
    with pytest.raises(DeviceUnavailable, match="no worker can start: there is no GPU"):
        asyncio.run(replica("cuda").__serve_build_asgi_app__())


def test_a_replica_without_a_token_that_can_be_used_is_not_made(replica, tmp_path):
    (tmp_path / "token").write_text("short")
    with pytest.raises(InvalidArgument, match="openssl rand"):
        replica(token_file=str(tmp_path / "token"))


def workers_of(home):
    """Return the worker processes whose home this is, with their cores."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or WORKER not in (entry / "cmdline").read_bytes():
                continue
            if f"HOME={home}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = os.sched_getaffinity(int(entry.name))
        except OSError:  # it has just ended
            continue
    return found


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster of one core, with a home of its own; gives that and the address of its proxy."""
    serve = pytest.importorskip("ray.serve", reason="needs the extra ray", exc_type=ImportError)
    import ray

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    # Never a cluster that somebody else has on this machine.
    ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.CRITICAL)
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        yield tmp_path, f"http://127.0.0.1:{port}"
    finally:
        serve.shutdown()
        ray.shutdown()


@pytest.mark.slow
def test_a_replica_on_a_cluster_restores_as_the_library_does_and_answers_before_it_ends(cluster, photograph, patience):
    from ray import serve

    home, address = cluster
    options = {"quality": "fast", "refine": False}
    serve.run(app({"cores": "1", "queue": "4"}), name="deblur")
    ((worker, cores),) = workers_of(home).items()
    assert len(cores) == 1
    with httpx.Client(base_url=address, timeout=patience) as client, ThreadPoolExecutor(1) as pool:
        assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ready")
        refused = client.post("/v1/deblur", content=b"no photograph", headers={"X-Request-ID": "mine"})
        assert (refused.status_code, refused.headers["content-type"]) == (415, "application/problem+json")
        assert (refused.json()["code"], refused.json()["id"]) == ("undecodable", "mine")
        assert refused.headers.get_list("x-request-id") == ["mine"]
        answer = pool.submit(
            client.post, "/v1/deblur", params={"quality": "fast", "refine": "false"}, content=photograph
        )
        end = time.monotonic() + patience
        while "deblur_in_work 1.0" not in client.get("/metrics").text and not answer.done():
            assert time.monotonic() < end
        serve.delete("deblur")
        assert answer.result().status_code == 200
        restored, _ = decode(answer.result().content)
    assert worker not in workers_of(home)
    with ProcessPoolExecutor(1, get_context("spawn"), confine_to_cores, (1,)) as pool:
        expected, _ = decode(pool.submit(runtime.deblur, photograph, **options).result(patience))
    np.testing.assert_array_equal(restored, expected)
    assert not np.array_equal(restored, decode(photograph)[0])
    assert {path.name for path in home.rglob("*") if path.is_file()} <= {"auth_token"}
