"""Which URLs webhooks may have and which addresses they may lead to, in every notation."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.webhooks.urls import WebhookUrl, WebhookUrlError, is_allowed, is_public

PRIVATE_V4 = (
    "0.0.0.0",  # noqa: S104  (not bound)
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
)
PRIVATE_V6 = (
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
    "ff02::1",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "64:ff9b:1::a00:1",  # NAT64 of a site
    "4000::1",  # not assigned
)
PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::1")


def embedding(address: str) -> list[str]:
    """Every IPv6 address that leads to an IPv4 address."""
    number = int(ipaddress.IPv4Address(address))
    high, low = number >> 16, number & 0xFFFF
    flipped = number ^ 0xFFFFFFFF  # as Teredo hides the address of a client
    return [
        f"::ffff:{address}",
        f"::ffff:{high:x}:{low:x}",
        f"64:ff9b::{high:x}:{low:x}",
        f"2002:{high:x}:{low:x}::1",
        f"2001:0:{high:x}:{low:x}::1",
        f"2001:0:808:808:0:0:{flipped >> 16:x}:{flipped & 0xFFFF:x}",
    ]


def notations(address: str) -> list[str]:
    """Every notation of an IPv4 address that `inet_aton` reads, except the usual one."""
    a, b, c, d = map(int, address.split("."))
    number = int(ipaddress.IPv4Address(address))
    return [
        str(number),
        hex(number),
        oct(number).replace("0o", "0"),
        f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
        f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
        f"{a}.{b}.{(c << 8) + d}",
        f"{a}.{(b << 16) + (c << 8) + d}",
        f"0x{a:02X}.{b}.0{c:o}.{d}",
    ]


@pytest.mark.parametrize("address", [*PRIVATE_V4, *PRIVATE_V6])
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    url = WebhookUrl.parse("https://hooks.example/", loopback=False)
    assert is_allowed(address, url, loopback=False)


@pytest.mark.parametrize("address", PRIVATE_V4)
def test_what_is_embedded_in_an_ipv6_address_counts(address: str) -> None:
    assert [each for each in embedding(address) if is_public(ipaddress.ip_address(each))] == []


def test_a_public_address_may_be_mapped_or_translated() -> None:
    public = [each for each in embedding("8.8.8.8") if is_public(ipaddress.ip_address(each))]
    assert public[:3] == ["::ffff:8.8.8.8", "::ffff:808:808", "64:ff9b::808:808"]


@given(st.integers(0, 2**32 - 1))
def test_mapped_and_translated_addresses_are_public_exactly_if_what_they_lead_to_is(number: int) -> None:
    plain = is_public(ipaddress.IPv4Address(number))
    assert is_public(ipaddress.IPv6Address((0xFFFF << 32) + number)) == plain
    assert is_public(ipaddress.IPv6Address((0x64FF9B << 96) + number)) == plain


@pytest.mark.parametrize("address", [*PRIVATE_V4, "8.8.8.8"])
def test_an_ipv4_address_is_written_in_one_way(address: str) -> None:
    for notation in notations(address):
        assert socket.inet_aton(notation) == socket.inet_aton(address)
        for host in (notation, f"{notation}.", f"{notation}:8443"):
            with pytest.raises(WebhookUrlError, match="four decimal numbers"):
                WebhookUrl.parse(f"https://{host}/", loopback=True)


@pytest.mark.parametrize(
    "host",
    [
        *PRIVATE_V4[:3],
        *(f"[{address}]" for address in PRIVATE_V6 if "%" not in address),
        "127.0.0.1.",
        "localhost",
        "LOCALHOST.",
        "api.localhost",
        "[::FFFF:127.0.0.1]:443",
        *(f"[{address}]" for address in embedding("10.0.0.1")),
    ],
)
def test_a_host_that_is_not_public_is_refused_by_name(host: str) -> None:
    with pytest.raises(WebhookUrlError, match="is not a public address"):
        WebhookUrl.parse(f"https://{host}/", loopback=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example/", "https"),
        ("HTTP://hooks.example/", "https"),
        ("ftp://hooks.example/", "https"),
        ("file:///etc/passwd", "https"),
        ("https:/hooks.example", "https"),
        ("https:hooks.example", "https"),
        ("//hooks.example/", "https"),
        ("hooks.example", "https"),
        ("https://", "valid host"),
        ("https://?a", "valid host"),
        ("https://a@hooks.example/", "user name"),
        ("https://hooks.example:443@127.0.0.1/", "user name"),
        ("https://hooks.example#@127.0.0.1/", "fragment"),
        ("https://hooks.example/#", "fragment"),
        ("https://127.0.0.1\\@hooks.example/", "backslashes"),
        ("https://hooks.example\t/", "printable"),
        ("https://hooks.example/\r\nHost: a", "printable"),
        ("https://hooks.example/ a", "printable"),
        ("https://münchen.example/", "write the host as xn--mnchen-3ya.example"),
        ("https://ⓛocalhost/", "write the host as localhost"),
        ("https://127。0。0。1/", "printable"),
        ("https://１２７.0.0.1/", "printable"),
        ("https://hooks..example/", "valid host"),
        ("https://.hooks.example/", "valid host"),
        ("https://hooks.example../", "valid host"),
        ("https://-a.example/", "valid host"),
        ("https://hooks%2eexample/", "valid host"),
        ("https://%31%32%37.0.0.1/", "valid host"),
        (f"https://{'a' * 64}.example/", "valid host"),
        ("https://hooks.example:0/", "port"),
        ("https://hooks.example:65536/", "port"),
        ("https://hooks.example:/", "port"),
        ("https://hooks.example:+443/", "port"),
        ("https://hooks.example:4 43/", "printable"),
        ("https://[::1/", "brackets"),
        ("https://[::1%25eth0]/", "valid host"),
        ("https://[1::2::3]/", "brackets|IPv6"),
        ("https://[v1.a]/", "valid host"),
        ("https://1.2.3.4.5/", "four decimal numbers"),
        ("https://a.0x7f/", "four decimal numbers"),
        ("https://010.0.0.1/", "four decimal numbers"),  # 8.0.0.1 to some programs, 10.0.0.1 to others
        ("https://008.8.8.8/", "four decimal numbers"),
        ("https://a.1/", "four decimal numbers"),
        (f"https://hooks.example/{'a' * 2000}", "2022 characters"),
    ],
)
def test_a_url_that_is_not_plain_is_refused(url: str, reason: str) -> None:
    with pytest.raises(WebhookUrlError, match=reason):
        WebhookUrl.parse(url, loopback=False)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hooks.example", ("hooks.example", 443, "/", "hooks.example")),
        ("HTTPS://Hooks.Example.:8443/a?b=c/d", ("hooks.example", 8443, "/a?b=c/d", "hooks.example:8443")),
        ("https://hooks.example?b", ("hooks.example", 443, "/?b", "hooks.example")),
        ("https://[2606:4700::1111]/", ("2606:4700::1111", 443, "/", "[2606:4700::1111]")),
        ("https://8.8.8.8:1/", ("8.8.8.8", 1, "/", "8.8.8.8:1")),
        ("https://xn--mnchen-3ya.example/", ("xn--mnchen-3ya.example", 443, "/", "xn--mnchen-3ya.example")),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: tuple[str, int, str, str]) -> None:
    parsed = WebhookUrl.parse(url, loopback=False)
    assert (parsed.host, parsed.port, parsed.target, parsed.host_header) == parts


def test_loopback_is_a_setting_and_http_is_only_for_loopback() -> None:
    for host in ("127.0.0.1:80", "[::1]", "localhost"):
        for scheme in ("http", "https"):
            assert WebhookUrl.parse(f"{scheme}://{host}/", loopback=True).scheme == scheme
    for url in ("http://hooks.example/", "http://8.8.8.8/", "https://10.0.0.1/", "https://[fe80::1]/"):
        with pytest.raises(WebhookUrlError):
            WebhookUrl.parse(url, loopback=True)
    plain = WebhookUrl.parse("http://localhost/", loopback=True)
    assert is_allowed("127.0.0.1", plain, loopback=True)
    assert not is_allowed("8.8.8.8", plain, loopback=True)
    assert not is_allowed("10.0.0.1", plain, loopback=True)
    assert not is_allowed("127.0.0.1", plain, loopback=False)
