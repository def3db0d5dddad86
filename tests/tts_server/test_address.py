"""Addresses as sockets and proxies write them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tts_server.address import customer, parse, parse_hop


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:80", None),
        ("", None),
        ("name", None),
    ],
)
def test_what_is_an_address(name: str, address: str | None) -> None:
    assert parse(name) == (None if address is None else ip_address(address))


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4:5678 ", "1.2.3.4"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("[::1]:80", "::1"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
        ("2001:db8::1:80", "2001:db8::1:80"),
        ("1::5", "1::5"),
        ("1.2.3.4:", None),
        ("1.2.3.4:x", None),
        ("1.2.3.4:５", None),
        ("[::1]80", None),
        ("[::1", None),
        ("[1.2.3.4:80", None),
        ("unknown", None),
        ("_hidden:80", None),
    ],
)
def test_hops_may_have_a_port(hop: str, address: str | None) -> None:
    assert parse_hop(hop) == (None if address is None else ip_address(address))


@pytest.mark.parametrize(
    ("address", "who"), [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::1", "::/64")]
)
def test_of_ipv6_one_caller_has_a_whole_network(address: str, who: str) -> None:
    assert customer(ip_address(address)) == who
