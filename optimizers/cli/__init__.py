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
from optimizers.errors import DataRefused, ParetoscopeError

_PREPARED = ("sizes-differ", "shape-differs", "units-differ", "output-shape", "several-tensors", "dtype-differs")
"""Codes of what preparing data may mend."""
_PREPARE = " The command `prepare` proposes how data can be made to fit."
_INTERRUPTED = 130


def main() -> None:
    """Runs the command line; a mistake of the user's is one sentence on standard error and exit status 2."""
    try:
        app(prog_name="python -m optimizers")
    except ParetoscopeError as error:
        fits = isinstance(error, DataRefused) and error.code in _PREPARED and sys.argv[1:2] != ["prepare"]
        say(f"Error: {error.message}{_PREPARE if fits else ''}")
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        say(f"Error: {error.filename}: {error.strerror}; name another path or make it usable.")
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:  # typer ends so, without a word
            say("Interrupted. Finished steps are kept; the same command goes on from there.")
        raise
