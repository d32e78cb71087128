"""The address of an upstream: http(s), without credentials, and never a machine's own metadata service."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from cortex.config.scalars import VARIABLE_PATTERN, Scalar, read_text, refuse

_METADATA_HOSTS = frozenset({"metadata.google.internal", "metadata.goog", "instance-data"})
_METADATA_ADDRESSES = frozenset({ipaddress.ip_address("100.100.100.200"), ipaddress.ip_address("fd00:ec2::254")})
_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


def read_base_url(value: object) -> str:
    """The address without a slash at its end."""
    text = read_text(value)
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        refuse("not an address", "write it as http://host:port/path")
    if url.scheme not in ("http", "https"):
        refuse("must start with http:// or https://")
    if url.username is not None or url.password is not None:
        refuse("must not hold a user or password", "a key belongs under `keys`")
    if "?" in text or "#" in text:
        refuse("must end with its path: no ? and no #")
    host = (url.hostname or "").rstrip(".")
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(url.path) or port == 0:
        refuse("not an address", "write it as http://host:port/path")
    if is_metadata(host):
        refuse("link-local and metadata addresses are refused")
    return _joined(url)


def _joined(url: SplitResult) -> str:
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}"


def is_metadata(host: str) -> bool:
    """Whether a host is a link-local address or names a cloud's metadata service. Nothing is looked up."""
    if host.lower() in _METADATA_HOSTS:
        return True
    address = _address(host)
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    return address.is_link_local or address in _METADATA_ADDRESSES


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        # The system also takes 2852039166, 0xa9fea9fe and 169.254.43518 for 169.254.169.254.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


BASE_URL = Scalar(
    read_base_url,
    {"type": "string", "pattern": rf"^https?://|{VARIABLE_PATTERN}", "examples": ["http://localhost:8000/v1"]},
)
