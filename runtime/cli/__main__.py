"""``python -m runtime.cli`` runs ``deblur``."""

from runtime.cli import main

main()
