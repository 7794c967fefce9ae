import contextlib
import time

import numpy as np
import pytest

from runtime.images import Header, encode, read_file
from runtime.serve import workers
from runtime.serve.service import Service
from runtime.serve.settings import Settings
from runtime.serve.tickets import Request
from tests.support import stand_in_worker

pytest.importorskip("fastapi", reason="needs the extra serve")

PATIENCE = 60
"""Seconds after which a test that hangs fails."""


@pytest.fixture(scope="session")
def patience():
    return PATIENCE


@pytest.fixture(scope="session")
def pixels():
    """A part of the sample photograph, blurred by a motion of 7 px."""
    from importlib import resources

    whole, _ = read_file(str(resources.files("runtime").joinpath("samples/astronaut.jpg")))
    part = whole[100:196, 100:202].astype(float)
    return np.rint(np.mean([part[:, shift : shift + 96] for shift in range(7)], axis=0)).astype(np.uint8)


@pytest.fixture(scope="session")
def photograph(pixels):
    """The same as a PNG file."""
    return encode(pixels, Header("PNG"))


@pytest.fixture(scope="session")
def real_service():
    """A service with one real worker, for all tests."""
    service = Service(Settings(devices=("cpu",)))
    service.start()
    assert service.wait_until_ready(2 * PATIENCE)
    yield service
    service.drain(PATIENCE)


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Start services whose workers are stand-ins, see `tests.support.stand_in_worker`; they end with the test."""
    monkeypatch.setattr(workers, "WORKER", stand_in_worker.COMMAND)
    monkeypatch.setenv("DEBLUR_STAND_IN", str(tmp_path / "attempted"))
    with contextlib.ExitStack() as running:

        def start(**settings):
            service = Service(Settings(**{"devices": ("cpu",), **settings}))
            service.start()
            running.callback(service.drain, 0)
            assert service.wait_until_ready(PATIENCE)
            return service

        yield start


@pytest.fixture
def asking(photograph):
    """Make a request for a stand-in worker: how many seconds it takes, and what then happens."""

    def asking(seconds=0.0, what=1, **others):
        return Request("deblur", [photograph], {"noise": seconds, "stride": what}, **others)

    return asking


@pytest.fixture
def until():
    """Wait until something holds."""

    def until(holds):
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)

    return until
