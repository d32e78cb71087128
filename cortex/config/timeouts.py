"""How long to wait for what, in seconds."""

from __future__ import annotations

from pydantic import Field

from cortex.config.section import Section
from cortex.config.units import Duration, as_written


class Timeouts(Section):
    """The general limits."""

    connect: Duration = as_written("5s", 5.0, "For a connection to the provider.")
    first_token: Duration = as_written("30s", 30.0, "From the request to the first token of a streamed answer.")
    response: Duration = as_written("5m", 300.0, "From the request to the whole of an answer that is not streamed.")
    idle: Duration = as_written("60s", 60.0, "Between two pieces of a stream.")
    total: Duration = as_written("10m", 600.0, "For a request with all its attempts.")


class ProviderTimeouts(Section):
    """One provider's own limits. `total` belongs to a request, whichever provider answers it."""

    connect: Duration | None = Field(default=None, description=Timeouts.model_fields["connect"].description)
    first_token: Duration | None = Field(default=None, description=Timeouts.model_fields["first_token"].description)
    response: Duration | None = Field(default=None, description=Timeouts.model_fields["response"].description)
    idle: Duration | None = Field(default=None, description=Timeouts.model_fields["idle"].description)

    def over(self, general: Timeouts) -> Timeouts:
        """The general limits with these in their place."""
        return general.model_copy(update=self.model_dump(exclude_none=True))
