"""What a visitor gives to be answered, checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from optimizers.errors import DataRefused

SIDE = 96
"""Pixels of a drawing's side."""
MOST_PICTURE_BYTES = 20_000_000
_MOST_COLUMNS = 500


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Numbered(_Given):
    """An example of the test part by its place there."""

    kind: Literal["test"] = "test"
    number: int = Field(ge=0, lt=10**9)


class Drawing(_Given):
    """Ink on square paper, row by row: two hexadecimal digits per pixel, from 00 (none) to ff (full)."""

    kind: Literal["drawing"] = "drawing"
    ink: str = Field(pattern=rf"^[0-9a-f]{{{2 * SIDE * SIDE}}}$")


class Picture(_Given):
    """A decoded picture: RGB, row by row, in Base64."""

    kind: Literal["picture"] = "picture"
    width: int = Field(ge=1, le=2048)
    height: int = Field(ge=1, le=2048)
    rgb: str
    inverted: bool = False


class Row(_Given):
    """Values by column, as the data have them before any scaling."""

    kind: Literal["row"] = "row"
    values: dict[str, Annotated[float, Field(allow_inf_nan=False)] | str | None] = Field(max_length=_MOST_COLUMNS)


Given = Numbered | Drawing | Picture | Row
_ADAPTER: TypeAdapter[Given] = TypeAdapter(Annotated[Given, Field(discriminator="kind")])


def checked(sent: Any) -> Given:
    """What was given. Raises `DataRefused` where it is nothing that can be answered."""
    try:
        return _ADAPTER.validate_python(sent)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "example"
        raise DataRefused(f"What was given cannot be answered: its {where} makes no sense.") from error
