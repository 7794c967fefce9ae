import pytest
from click.testing import CliRunner

from runtime.cli.serving.serve import serve_command

pytest.importorskip("fastapi", reason="needs the extra serve")


@pytest.fixture
def asked(monkeypatch):
    """What the server would be started with."""
    from runtime.serve.http import server

    calls = []
    monkeypatch.setattr(server, "serve", lambda *arguments: calls.append(arguments) or True)
    return calls


def run(*arguments):
    return CliRunner().invoke(serve_command, arguments)


def test_by_default_only_this_computer_can_ask(asked):
    assert run().exit_code == 0
    ((settings, access, host, port, _, _),) = asked
    assert (host, port) == ("127.0.0.1", 8080)
    assert access.token is None
    assert access.hosts == {"localhost", "127.0.0.1", "::1"}
    assert (settings.devices, settings.workers) == (("auto",), 1)


def test_limits_are_passed_on(asked):
    result = run(
        "--port", "0", "--device", "cuda:0", "--device", "cuda:1", "--workers", "2", "--queue", "3", "--deadline", "4",
        "--limit-megabytes", "5.5", "--limit-megapixels", "6", "--limit-frames", "7", "--limit-held", "8",
        "--per-client", "9", "--body-seconds", "10", "--drain-seconds", "11",
    )  # fmt: skip
    assert result.exit_code == 0
    ((settings, _, _, port, drain_seconds, _),) = asked
    assert (port, drain_seconds) == (0, 11)
    assert (settings.devices, settings.workers, settings.queue) == (("cuda:0", "cuda:1"), 2, 3)
    assert (settings.deadline, settings.request_bytes, settings.pixels) == (4, 5_500_000, 6_000_000)
    assert (settings.frames, settings.bytes_held, settings.per_client) == (7, 8_000_000, 9)
    assert settings.body_seconds == 10


def test_other_addresses_need_a_token_or_a_flag(asked, tmp_path):
    result = run("--host", "0.0.0.0")
    assert result.exit_code == 2
    assert "--token-file" in result.output
    assert "--insecure" in result.output
    assert run("--host", "0.0.0.0", "--insecure").exit_code == 0
    (tmp_path / "token").write_text("abcdefgh12345678\n")
    assert run("--host", "0.0.0.0", "--token-file", str(tmp_path / "token")).exit_code == 0
    assert [arguments[1].token for arguments in asked] == [None, "abcdefgh12345678"]
    assert [arguments[1].hosts for arguments in asked] == [None, None]


def test_poor_tokens_are_refused(asked, tmp_path):
    for content in ("", "short", "with spaces in between"):
        (tmp_path / "token").write_text(content)
        result = run("--token-file", str(tmp_path / "token"))
        assert result.exit_code == 2
        assert "openssl rand" in result.output
    assert "cannot be read" in str(run("--token-file", str(tmp_path / "missing")).exception)
    assert not asked


def test_requests_that_were_not_answered_are_a_failure(monkeypatch):
    from runtime.serve.http import server

    monkeypatch.setattr(server, "serve", lambda *_: False)
    result = run()
    assert result.exit_code == 1
    assert "not answered" in result.output
