from importlib import metadata

import runtime
from runtime._version import __version__


def test_the_installed_package_says_its_version():
    assert metadata.version("deblur-runtime") == __version__ == runtime.__version__
