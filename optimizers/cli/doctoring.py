"""Looking after the store and the history."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from optimizers.cli.common import Home, Json, app, print_json, say
from optimizers.doctor import examine
from optimizers.settings import Settings


@app.command()
def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Put right what can be put right.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete results that no run refers to.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read every file behind PARETOSCOPE_STORE.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Check the store, the history and the machine, and repair what is damaged."""
    if home is not None:
        os.environ["PARETOSCOPE_HOME"] = str(home.expanduser().resolve())
    findings = list(examine(Settings(), repair=repair, prune=prune, deep=deep))
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        for finding in findings:
            print(finding)
    left = sum(finding.open for finding in findings)
    if left:
        say(f"{left} of these checks found a problem{'' if repair else '; --repair puts right what can be'}.")
    sys.exit(1 if left else 0)
