"""What there is: sample models, sample data, techniques, metrics, analyses."""

from __future__ import annotations

from optimizers import registry
from optimizers.cli.common import Json, app, print_json
from optimizers.engine import origins
from optimizers.params import ParamField, fields


@app.command()
def models(as_json: Json = False) -> None:
    """List the sample models."""
    from optimizers.models.sample import manifest

    entries = manifest()
    if as_json:
        print_json([{"uri": f"sample:{name}", **entry.model_dump(mode="json")} for name, entry in entries.items()])
        return
    for name, entry in entries.items():
        print(f"sample:{name:26} {entry.parameters:>9,} parameters  {entry.dataset:22} {entry.description}")


@app.command()
def datasets(as_json: Json = False) -> None:
    """List the sample data sets."""
    found = {
        f"sample:{name}": origins.load_dataset(f"sample:{name}").summary
        for name in registry.dataset_origins()["sample"].list()
    }
    if as_json:
        print_json([{"uri": uri, **s.model_dump(mode="json", exclude={"preview"})} for uri, s in found.items()])
        return
    for uri, s in found.items():
        counts = f"{s.n_train} train / {s.n_validation} validation / {s.n_test} test"
        print(f"{uri:24} {s.task:15} {'x'.join(map(str, s.input_shape)):10} {counts}")


@app.command()
def techniques(as_json: Json = False) -> None:
    """List the techniques and their parameters."""
    known = registry.techniques().values()
    if as_json:
        print_json(
            [
                {
                    "name": t.name,
                    "version": t.version,
                    "title": t.title,
                    "summary": t.summary,
                    "family": t.family,
                    "accepts": sorted(t.accepts),
                    "produces": t.produces,
                    "needs": sorted(t.needs),
                    "provides": sorted(t.provides),
                    "preserves": sorted(t.preserves),
                    "source": t.source,
                    "parameters": [f.model_dump(mode="json") for f in fields(t.params)],
                }
                for t in known
            ]
        )
        return
    for t in known:
        print(f"{t.name}\n    {t.summary}")
        for f in fields(t.params):
            print(f"    {f.name}={f.default}  {f.help}{_bounds(f)}")


@app.command()
def metrics(as_json: Json = False) -> None:
    """List the metrics."""
    known = registry.metrics().values()
    if as_json:
        print_json(
            [
                {
                    "name": m.name,
                    "version": m.version,
                    "title": m.title,
                    "unit": m.unit,
                    "direction": m.direction,
                    "needs": m.needs,
                    "tasks": sorted(m.tasks),
                    "device_bound": m.device_bound,
                    "help": m.help,
                }
                for m in known
            ]
        )
        return
    for m in known:
        print(f"{m.name:18} {m.unit:14} {m.direction} is better  {m.help}")


@app.command()
def analyses(as_json: Json = False) -> None:
    """List the analyses and their parameters."""
    known = registry.analyses().values()
    if as_json:
        shown = [
            {
                "name": a.name,
                "version": a.version,
                "title": a.title,
                "summary": a.summary,
                "tasks": sorted(a.tasks),
                "parameters": [f.model_dump(mode="json") for f in fields(a.params)],
            }
            for a in known
        ]
        print_json(shown)
        return
    for a in known:
        print(f"{a.name}\n    {a.summary}")
        for f in fields(a.params):
            print(f"    {f.name}={f.default}  {f.help}{_bounds(f)}")


def _bounds(field: ParamField) -> str:
    """The values that a parameter takes, in brackets."""
    if field.choices:
        return f" (one of {', '.join(field.choices)})"
    return f" ({field.low:g} to {field.high:g})" if field.low is not None and field.high is not None else ""
