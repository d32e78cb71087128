"""What the server itself refuses, before a request reaches the attempt loop.

`Refused` does not leave this room: everywhere else a request fails with a `Fault` or is answered with a `ClientError`.
Messages are our own words and quote nothing of the request but its method and path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cortex.errors import ClientError

_REQUEST = "invalid_request_error"
_SERVER = "server_error"
_PERMISSION = "permission_error"

INTERNAL_ERROR = ClientError(
    500, "the gateway failed to handle this request; its log tells why", _SERVER, "internal_error", should_retry=False
)
HEAD_TIMEOUT = ClientError(408, "the request's headers did not arrive in time", _REQUEST, "request_timeout")
MALFORMED = ClientError(400, "the request is not well-formed HTTP", _REQUEST, "malformed_request", should_retry=False)
HEADERS_TOO_LARGE = ClientError(
    431, "the request line or a header is too long", _REQUEST, "headers_too_large", should_retry=False
)


class Refused(Exception):
    """The request goes no further. `close`: what is left of it makes the connection useless for another."""

    def __init__(self, error: ClientError, headers: Mapping[str, str] | None = None, *, close: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers: Mapping[str, str] = headers or {}
        self.close = close


def key_required(message: str) -> Refused:
    error = ClientError(401, message, _REQUEST, "invalid_api_key", should_retry=False)
    return Refused(error, {"WWW-Authenticate": "Bearer"})


def forbidden(message: str, code: str) -> Refused:
    return Refused(ClientError(403, message, _PERMISSION, code, should_retry=False))


def unknown_path(method: str, path: str) -> Refused:
    message = f"nothing is served at {method} {path[:200]!r}; GET /openapi.json lists what is"
    return Refused(ClientError(404, message, _REQUEST, "unknown_url", should_retry=False))


def wrong_method(method: str, allowed: Iterable[str]) -> Refused:
    allow = ", ".join(allowed)
    error = ClientError(405, f"{method} is not allowed here; {allow} is", _REQUEST, "method_not_allowed")
    return Refused(error, {"Allow": allow})


def too_large(max_bytes: int) -> Refused:
    message = f"the request body is larger than {max_bytes} bytes"
    return Refused(ClientError(413, message, _REQUEST, "request_too_large", should_retry=False), close=True)


def slow_body() -> Refused:
    return Refused(ClientError(408, "the request body did not arrive in time", _REQUEST, "request_timeout"), close=True)


def unsupported_media(message: str) -> Refused:
    error = ClientError(415, message, _REQUEST, "unsupported_media_type", should_retry=False)
    return Refused(error, close=True)


def bad_body(message: str) -> Refused:
    return Refused(ClientError(400, message, _REQUEST, "invalid_body", should_retry=False), close=True)


def expectation_failed() -> Refused:
    error = ClientError(417, "only `Expect: 100-continue` is understood", _REQUEST, "expectation_failed")
    return Refused(error, close=True)


def bad_value(message: str, param: str) -> Refused:
    """A header or query parameter that cannot be taken as it is."""
    return Refused(ClientError(400, message, _REQUEST, "invalid_value", param=param, should_retry=False))


def not_found(message: str, code: str) -> Refused:
    return Refused(ClientError(404, message, _REQUEST, code, should_retry=False))


def overloaded() -> Refused:
    error = ClientError(
        503, "too many request bodies are in flight; try again shortly", _SERVER, "overloaded", retry_after_s=1.0
    )
    return Refused(error, {"Retry-After": "1"}, close=True)
