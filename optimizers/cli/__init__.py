"""The command line: the same engine without a browser. One file per group of commands."""

from __future__ import annotations

import sys

from optimizers.cli import (  # noqa: F401  (each adds its commands)
    analysing,
    comparing,
    contributing,
    doctoring,
    exporting,
    importing,
    listing,
    racing,
    reading,
    repeating,
    reporting,
    retiming,
    running,
    searching,
)
from optimizers.cli.common import app, say
from optimizers.errors import ParetoscopeError


def main() -> None:
    """Runs the command line; a mistake of the user's is one sentence on standard error and exit status 2."""
    try:
        app(prog_name="python -m optimizers")
    except ParetoscopeError as error:
        say(f"Error: {error.message}")
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        say(f"Error: {error.filename}: {error.strerror}; name another path or make it usable.")
        sys.exit(2)
    except KeyboardInterrupt:
        say("Interrupted. Finished steps are kept; the same command goes on from there.")
        sys.exit(130)
