import tomllib
from importlib.metadata import version
from pathlib import Path

import runtime
from runtime._version import __version__


def test_the_version_is_written_once():
    assert runtime.__version__ == __version__ == version("deblur-runtime")
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project, "pyproject.toml reads the version from the package"
