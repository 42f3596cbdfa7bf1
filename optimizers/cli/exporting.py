"""Taking files of runs along: into applications."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from optimizers import registry
from optimizers.cli.common import Home, Json, Opened, app, print_json, run_named, say
from optimizers.engine.deploying import deployable
from optimizers.errors import NotApplicable


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="Id of a finished run, as `run --json` tells it.")],
    to: Annotated[Path, typer.Option("--to", file_okay=False, help="Folder that the files are put into.")],
    what: Annotated[
        list[str] | None, typer.Option("--what", help="An export; can be repeated. All that suit if left out.")
    ] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="Take the baseline of the run.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Write the file of a run, as it is, as a C array, with its metadata, and with programs that run it."""
    chosen = [registry.export(name) for name in what or registry.exports()]
    written: dict[str, Any] = {}
    with Opened(home) as queue:
        file = deployable(queue.driver, run_named(queue, run), of_baseline=baseline)
        to.mkdir(parents=True, exist_ok=True)
        for export in chosen:
            try:
                content = export.make(file)
            except NotApplicable as error:
                say(f"{export.name}: {error.message}")
                written[export.name] = {"problem": error.message}
                continue
            target = to / export.file_name(file)
            target.write_bytes(content)
            written[export.name] = {"file": str(target), "bytes": len(content)}
    if as_json:
        print_json(written)
    else:
        for told in written.values():
            if "file" in told:
                print(told["file"])


@app.command()
def exports(as_json: Json = False) -> None:
    """What can be made of a finished file."""
    known = registry.exports().values()
    if as_json:
        print_json([{"name": e.name, "title": e.title, "summary": e.summary, "kind": e.kind} for e in known])
        return
    for declared in known:
        print(f"{declared.name:12} {declared.summary}")
