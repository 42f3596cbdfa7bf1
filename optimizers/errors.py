"""Every error this package raises on purpose.

    ParetoscopeError
    ├── UserError               something that was given is wrong; the message says what, where and what to do
    │   ├── InvalidParameter    a value outside its bounds, or an option that does not exist
    │   ├── InvalidRecipe       steps that cannot follow one another, or text that is no recipe
    │   ├── UnknownName         no technique, metric, model, data set or run of that name
    │   ├── ModelRefused        a model file that cannot or must not be read
    │   ├── DataRefused         a data file that cannot be read, or that does not fit the model
    │   └── ReadingStopped      a file that takes too much memory or time to read, or crashes what reads it
    ├── WorkFailed              the input was fine, the work was not
    │   ├── NotApplicable       a technique that this model rules out, with the reason
    │   ├── ConversionWrong     a converted file whose outputs or bytes do not match the model
    │   ├── WorkerDied          the process doing the work ended: crash, memory or time
    │   └── Unexpected          a fault of ours; the log has the details
    ├── Cancelled               somebody asked for it to stop
    ├── Unreachable             the store, the history or the scheduler does not answer; runs go on when it is back
    └── StoreDamaged            a stored result whose files are missing or changed

Messages are single sentences in the reader's words. They cross process borders as JSON (``to_dict``/``from_dict``).
"""

from __future__ import annotations

from typing import Any, ClassVar


class ParetoscopeError(Exception):
    """Base of the tree. ``code`` is stable and machine-readable, ``message`` is for people."""

    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, code: str | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.detail = detail

    def to_dict(self) -> dict[str, str]:
        """JSON form: class name, code, message and (possibly long) detail."""
        return {"type": type(self).__name__, "code": self.code, "message": self.message, "detail": self.detail}


class UserError(ParetoscopeError):
    default_code = "user-error"


class InvalidParameter(UserError):
    default_code = "invalid-parameter"


class InvalidRecipe(UserError):
    default_code = "invalid-recipe"


class UnknownName(UserError):
    default_code = "unknown-name"


class ModelRefused(UserError):
    default_code = "model-refused"


class DataRefused(UserError):
    default_code = "data-refused"


class ReadingStopped(UserError):
    default_code = "reading-stopped"


class WorkFailed(ParetoscopeError):
    default_code = "work-failed"


class NotApplicable(WorkFailed):
    default_code = "not-applicable"


class ConversionWrong(WorkFailed):
    default_code = "conversion-wrong"


class WorkerDied(WorkFailed):
    default_code = "worker-died"


class Unexpected(WorkFailed):
    default_code = "unexpected"


class Cancelled(ParetoscopeError):
    default_code = "cancelled"


class Unreachable(ParetoscopeError):
    default_code = "unreachable"


class StoreDamaged(ParetoscopeError):
    default_code = "store-damaged"


_BY_NAME: dict[str, type[ParetoscopeError]] = {
    cls.__name__: cls
    for cls in (
        InvalidParameter,
        InvalidRecipe,
        UnknownName,
        ModelRefused,
        DataRefused,
        ReadingStopped,
        NotApplicable,
        ConversionWrong,
        WorkerDied,
        Unexpected,
        Cancelled,
        Unreachable,
        StoreDamaged,
    )
}


def from_dict(data: dict[str, Any]) -> ParetoscopeError:
    """The error that ``to_dict`` described, as an instance of the same class."""
    cls = _BY_NAME.get(str(data.get("type")), Unexpected)
    return cls(str(data["message"]), code=data.get("code"), detail=str(data.get("detail", "")))
