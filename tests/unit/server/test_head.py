"""The head of an answer: what stands in it, and that no header ends its line early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from httptools import HttpResponseParser

from cortex.server.head import answer_head

ID = "req_0123456789abcdef01234567"
LENGTH = "Content-Length: 0\r\n"


class Parsed:
    """The head as a strict parser reads it; the answer has no body."""

    def __init__(self, head: bytes) -> None:
        self.headers: dict[str, str] = {}
        self.whole = False
        self._parser = HttpResponseParser(self)
        self._parser.feed_data(head)

    def on_header(self, name: bytes, value: bytes) -> None:
        assert name.decode() not in self.headers
        self.headers[name.decode()] = value.decode()

    def on_message_complete(self) -> None:
        self.whole = True
        self.version, self.status = self._parser.get_http_version(), self._parser.get_status_code()
        self.kept_alive = self._parser.should_keep_alive()


@pytest.mark.parametrize(
    ("minor", "keep_alive", "connection"),
    [(1, True, None), (1, False, "close"), (0, True, "keep-alive"), (0, False, "close")],
)
def test_a_connection_is_kept_or_closed_as_the_version_says_it(
    minor: int, keep_alive: bool, connection: str | None
) -> None:
    parsed = Parsed(answer_head(200, ID, {}, LENGTH, minor=minor, keep_alive=keep_alive))
    assert (parsed.version, parsed.headers.get("Connection")) == (f"1.{minor}", connection)
    assert parsed.kept_alive is keep_alive
    assert parsed.whole


def test_every_answer_has_its_id_under_each_name_and_its_date() -> None:
    parsed = Parsed(answer_head(200, ID, {}, LENGTH))
    assert [parsed.headers[name] for name in ("x-cortex-request-id", "x-request-id", "request-id")] == [ID] * 3
    assert parsed.headers["Server"] == "cortex"
    since = datetime.now(UTC) - parsedate_to_datetime(parsed.headers["Date"])
    assert timedelta(0) <= since < timedelta(minutes=1)


def test_headers_and_framing_stand_in_it_as_they_are() -> None:
    headers = {"content-type": "application/json", "x-cortex-route": "auto>coder", "x-empty": "", "x-tab": "a\tb"}
    parsed = Parsed(answer_head(200, ID, headers, LENGTH))
    assert headers.items() <= parsed.headers.items()
    assert parsed.headers["Content-Length"] == "0"


@pytest.mark.parametrize(("status", "line"), [(404, b"HTTP/1.1 404 Not Found\r\n"), (499, b"HTTP/1.1 499 \r\n")])
def test_a_status_without_a_phrase_has_none(status: int, line: bytes) -> None:
    head = answer_head(status, ID, {}, LENGTH)
    assert head.startswith(line)
    assert head.endswith(b"\r\n\r\n")
    assert Parsed(head).status == status


@pytest.mark.parametrize("control", ["\r\nx-forged: 1", "\n", "\r", "\0", "\x0b", "\x1b", "\x7f"])
def test_a_header_cannot_end_its_line_and_is_not_quoted(control: str) -> None:
    with pytest.raises(ValueError, match="control character") as caught:
        answer_head(200, ID, {"x-fine": "yes", "x-cortex-model": f"secret{control}"}, LENGTH)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("value", "sent"), [("wört 🙂", "wört 🙂"), ("half \ud83d", "half ?")])
def test_text_of_any_script_goes_as_utf8(value: str, sent: str) -> None:
    assert Parsed(answer_head(200, ID, {"x-cortex-model": value}, LENGTH)).headers["x-cortex-model"] == sent
