"""Which URLs webhooks may have, and which addresses they may lead to. Both ask no name server.

A URL is taken apart here once; what is checked is what is connected to. An address counts as public only if every
address that is embedded in it does: IPv4 in IPv6 (mapped, 6to4, Teredo, NAT64) leads to that IPv4 address.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self
from urllib.parse import urlsplit

MAX_URL = 2000  # characters
_DEFAULT_PORTS = {"https": 443, "http": 80}
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # all that IANA has assigned for global use
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What some versions of `ipaddress` count as global: relays, documentation, segment routing, protocol assignments.
_REFUSED_V4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4")))
_REFUSED_V6 = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16")))


class WebhookUrlError(ValueError):
    """The URL cannot be one of a webhook; the message says why, without repeating it."""


@dataclass(frozen=True)
class WebhookUrl:
    """A checked URL. `host` has no brackets and no trailing dot; `target` is what a request line names."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, text: str, *, loopback: bool) -> Self:
        """Take a URL apart.

        Args:
            loopback: a development setting: loopback addresses and http to them are allowed.

        Raises:
            WebhookUrlError: it is not https, its host is not public, or it can be read in more than one way.
        """
        if len(text) > MAX_URL:
            raise WebhookUrlError(f"has {len(text)} characters; at most {MAX_URL} are allowed")
        scheme, rest, host_port = _split(text)
        if scheme != "https" and not (loopback and scheme == "http"):
            raise WebhookUrlError("must begin with https://")
        host, port = _host_and_port(host_port, _DEFAULT_PORTS[scheme])
        address = literal_address(host)
        is_local = address.is_loopback if address else host == "localhost" or host.endswith(".localhost")
        if scheme == "http" and not is_local:
            raise WebhookUrlError("must begin with https://; http is possible only for loopback addresses")
        if (is_local and not loopback) or (address is not None and not is_local and not is_public(address)):
            raise WebhookUrlError(f"{host} is not a public address; webhooks are sent to public addresses only")
        return cls(scheme, host, port, rest)

    @property
    def host_header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def is_allowed(address: str, url: WebhookUrl, *, loopback: bool) -> bool:
    """Whether a webhook with this URL may connect to `address`, one that its host resolves to."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed.is_loopback:
        return loopback
    return url.scheme == "https" and is_public(parsed)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether `address`, and every address embedded in it, is a global unicast address."""
    if isinstance(address, IPv4Address):
        refused = address.is_multicast or any(address in network for network in _REFUSED_V4)
        return address.is_global and not refused
    if address.scope_id is not None:
        return False
    embedded = _embedded(address)
    if not all(map(is_public, embedded)):
        return False
    if embedded and (address.ipv4_mapped or address in _NAT64):
        return True
    refused = any(address in network for network in _REFUSED_V6)
    return address in _GLOBAL_V6 and address.is_global and not refused


def literal_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address that `host` is; None for a name.

    Raises:
        WebhookUrlError: an IPv4 address in another notation than four decimal numbers, which programs read differently.
    """
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            raise WebhookUrlError("has an invalid IPv6 address") from None
    try:
        return IPv4Address(host)
    except ValueError:
        pass
    if _is_number(host):
        raise WebhookUrlError("write an IPv4 address as four decimal numbers without leading zeros, or use a name")
    return None


def _split(text: str) -> tuple[str, str, str]:
    """Scheme, target, and host with port. Raises WebhookUrlError."""
    if not _PRINTABLE.fullmatch(text) or "\\" in text:
        hint = _ascii_form(text)
        raise WebhookUrlError(f"must be printable ASCII without backslashes and spaces{hint}")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise WebhookUrlError("is not a URL: check the brackets of the host") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not text[len(scheme) :].startswith("://"):
        raise WebhookUrlError("must begin with https://")
    if "@" in parts.netloc:
        raise WebhookUrlError("must have no user name and password; put a token in the path or the query")
    if "#" in text:
        raise WebhookUrlError("must have no fragment: it is not sent")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return scheme, target, parts.netloc


def _host_and_port(netloc: str, default_port: int) -> tuple[str, int]:
    """The host, lower case and without brackets and trailing dot, and the port. Raises WebhookUrlError."""
    if (bracketed := re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(.*))?", netloc)) is not None:
        host, port = bracketed[1].lower(), bracketed[2]
    else:
        host, colon, rest = netloc.partition(":")
        host, port = host.lower().removesuffix("."), rest if colon else None
        if not _NAME.fullmatch(host):
            raise WebhookUrlError("has no valid host")
    if port is None:
        return host, default_port
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise WebhookUrlError("has an invalid port; use a number from 1 to 65535")
    return host, int(port)


def _is_number(host: str) -> bool:
    """Whether some program reads `host` as an IPv4 address: decimal, octal, hex, or fewer than four numbers."""
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return True
    try:
        socket.inet_aton(host)
    except (OSError, UnicodeError):
        return False
    return True


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that packets to `address` may lead to."""
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _ascii_form(text: str) -> str:
    """How to write the name of a host that has other letters than ASCII."""
    try:
        host = urlsplit(text).hostname or ""
        written = host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        return ""
    return f"; write the host as {written}" if written != host and _NAME.fullmatch(written) else ""
