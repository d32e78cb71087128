"""What every part of the configuration has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping of the file. Unknown members are refused; an optional member that is empty or null counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_absent(cls, data: Any) -> Any:
        return cls.given(data) if isinstance(data, dict) else data

    @classmethod
    def given(cls, data: dict[str, Any]) -> dict[str, Any]:
        """The members that say something."""
        optional = {name for name, field in cls.model_fields.items() if not field.is_required()}
        return {name: value for name, value in data.items() if value not in (None, "") or name not in optional}
