"""The section `telemetry` as the file writes it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import Field

from cortex.config.scalars import BOOLEAN, choice
from cortex.config.section import Section

LogFormat: TypeAlias = Literal["console", "json"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


class LogConfig(Section):
    """What Cortex writes to standard error."""

    format: Annotated[LogFormat, choice(get_args(LogFormat))] = Field(
        default="console", description="For people or programs."
    )
    level: Annotated[LogLevel, choice(get_args(LogLevel))] = Field(
        default="info", description="The least that is written."
    )


class TelemetryConfig(Section):
    """What is told about requests."""

    log: LogConfig = Field(default=LogConfig(), description="The log.")
    content: Annotated[bool, BOOLEAN] = Field(
        default=False, description="Prompts and answers stay out of logs and traces."
    )
