"""``python -m optimizers``."""

from optimizers.cli import main

main()
