"""``python -m runtime.cli`` is ``deblur``."""

from runtime.cli import main

main()
