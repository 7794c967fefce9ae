import builtins

import pytest

from runtime.errors import MissingDependency
from runtime.serve.metrics import Metrics


def test_each_service_counts_for_itself():
    first, second = Metrics(), Metrics()
    first.requests.labels("deblur", "ok").inc()
    first.watch("deblur_things", "Things.", lambda: 3.0)
    assert b'deblur_requests_total{kind="deblur",outcome="ok"} 1.0' in first.text()
    assert b"deblur_things 3.0" in first.text()
    assert b'outcome="ok"' not in second.text()
    assert first.content_type.startswith("text/plain")


def test_a_missing_package_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "prometheus_client":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependency, match=r"deblur-runtime\[serve\]"):
        Metrics()
