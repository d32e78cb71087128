from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from cortex.config.base_url import is_metadata, read_base_url


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("http://localhost:11434", "http://localhost:11434"),
        ("http://localhost:11434/", "http://localhost:11434"),
        ("https://api.groq.com/openai/v1/", "https://api.groq.com/openai/v1"),
        ("http://10.0.0.5/v1", "http://10.0.0.5/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        ("http://my_service-1:80/a%20b", "http://my_service-1:80/a%20b"),
        (" http://host.docker.internal:11434 ", "http://host.docker.internal:11434"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert read_base_url(text) == address


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "fe80::1",
        "::ffff:169.254.169.254",
        "2002:a9fe:a9fe::",
        "fd00:ec2::254",
        "100.100.100.200",
        "metadata.google.internal",
        "METADATA.google.internal",
    ],
)
def test_metadata_and_link_local_hosts_are_refused_however_written(host: str) -> None:
    assert is_metadata(host)
    bracketed = f"[{host}]" if ":" in host else host
    for text in (f"http://{bracketed}", f"http://{bracketed}:80/v1", f"https://{bracketed}"):
        with pytest.raises(PydanticCustomError):
            read_base_url(text)


def test_a_dot_at_the_end_hides_nothing() -> None:
    with pytest.raises(PydanticCustomError):
        read_base_url("http://metadata.google.internal./v1")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "10.1.2.3", "192.168.0.1", "fd00::1", "api.openai.com", "1"]
)
def test_other_hosts_are_fine(host: str) -> None:
    assert not is_metadata(host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:11434",
        "//host",
        "ftp://host",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://user@host",
        "http://user:pass@host",
        "http://@host",
        "http://host?",
        "http://host/v1?key=x",
        "http://host/#",
        "http://host:0",
        "http://host:65536",
        "http://host:port",
        "http://[::1",
        "http://[::1%eth0]",
        "http://ho st",
        "http://host/\r\nX: y",
        "http://host\\@169.254.169.254",
        "http://hôst",
        "http://host/ä",
        5,
        None,
    ],
)
def test_no_address(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        read_base_url(text)


@given(
    st.text() | st.text().map("http://{}".format) | st.text(alphabet="[]:@/.%?#\\0123456789abx").map("http://".__add__)
)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = read_base_url(text)
    except PydanticCustomError:
        return
    assert read_base_url(address) == address
    assert address.isascii()
    assert " " not in address
