"""Logs of the app on standard error: lines to read, or one JSON object a line for whatever collects them."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, Literal

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
ROOT = "paretoscope"


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and what was given as ``extra``, such as ``run``."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


class Lines(logging.Formatter):
    """A record as a line to read, with the run it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        first, rest, more = super().format(record).partition("\n")
        run = getattr(record, "run", "")
        return (f"{first} [run {run}]" if run else first) + rest + more


def configure(kind: Literal["text", "json"]) -> None:
    """Sends our own log to standard error. With ``json`` all loggers that write by themselves write JSON lines too."""
    logger = logging.getLogger(ROOT)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if kind == "json" else Lines())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if kind == "json":
        logging.captureWarnings(True)
        logging.getLogger("py.warnings").handlers[:] = [logging.StreamHandler()]
        everybody = [logging.root, *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
        for found in (handler for other in everybody for handler in other.handlers):
            found.setFormatter(JsonLines())
