import os
import subprocess
import sys

import pytest

from runtime import __version__
from runtime.errors import ModelNotFound


def run(*arguments, **options):
    return subprocess.run([sys.executable, *arguments], capture_output="stdout" not in options, check=False, **options)


def test_help_and_version_load_nothing_heavy():
    heavy = ["numpy", "PIL", "cv2", "numba", "scipy", "onnxruntime", "cupy", "torch"]
    code = f"""
import sys
from runtime.cli import main
sys.argv = ["deblur", "image", "--help"]
try:
    main()
finally:
    print([name for name in {heavy} if name in sys.modules])
"""
    result = run("-c", code)
    assert result.stdout.decode().splitlines()[-1] == "[]"
    assert b"--save-kernel" in result.stdout
    assert run("-m", "runtime.cli", "--version").stdout.decode().split()[-1] == __version__


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["image"], ["image", "a.png"], ["image", "a.png", "-o", "b.png", "--stride", "0"]]
)
def test_wrong_usage_exits_2(deblur, arguments):
    result = deblur(*arguments)
    assert result.code == 2
    assert "Usage: deblur" in result.err
    assert result.out == b""


def test_an_error_of_the_runtime_is_one_line_and_exits_1(deblur, tmp_path):
    result = deblur("image", "a.png", "-o", tmp_path, "--model", tmp_path / "absent")
    assert result.code == 1
    assert result.err.startswith("deblur: ")
    assert result.err.count("\n") == 1


def test_an_interruption_exits_130_and_leaves_nothing(deblur, opened, photograph, tmp_path, monkeypatch):
    def interrupt(source, target):
        assert os.path.exists(source)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", interrupt)
    out = tmp_path / "out"
    result = deblur("image", photograph, "-o", f"{out}/")
    assert result.code == 130
    assert result.err.strip() == "deblur: interrupted"
    assert list(out.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = run("-m", "runtime.cli", "doctor", stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert result.stderr == b""
    assert result.returncode == 1


def test_every_error_type_ends_the_same_way(deblur, monkeypatch):
    def fail(**_):
        raise ModelNotFound("no model: name another")

    monkeypatch.setattr("runtime.deblurrer.Deblurrer", fail)
    assert deblur("image", "a.png", "-o", "b.png").err == "deblur: no model: name another\n"
