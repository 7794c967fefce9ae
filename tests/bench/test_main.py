import subprocess
import sys

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from tests.bench.conftest import ROOT


@pytest.mark.parametrize("command", ["kernels", "throughput", "latency", "peers", "accuracy", "quality", "decisions"])
def test_every_command_explains_itself(command):
    assert command in CliRunner().invoke(main, ["--help"]).output
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert all(option in result.output for option in ("--json", "--plot"))


def test_what_the_runtime_refuses_is_one_line():
    result = CliRunner().invoke(main, ["throughput", "--model", "nonsense", "--device", "cpu"])
    assert result.exit_code == 1
    assert result.output.startswith("Error: no model named 'nonsense'")
    assert len(result.output.splitlines()) == 1


def test_it_runs_as_a_module_and_starts_light():
    code = "import sys, bench.__main__ as m; print({'torch', 'cupy', 'onnxruntime', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "python -m bench" in done.stdout
