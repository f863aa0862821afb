"""Which addresses calls may go to, and what `allow` opens."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.adapters.files import check, load_site
from app.core.networks import Allow, read_allow
from tests.unit.http_kit import allow
from tests.unit.site_kit import ASKED as FILES
from tests.unit.site_kit import ENV, write

NOTHING = Allow()
REFUSED = {
    "a loopback address": ["127.0.0.1", "127.255.255.254", "::1"],
    "a private address": [
        *("10.0.0.5", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("fc00::1", "fd12:3456::1", "fec0::1"),
    ],
    "a link-local address": ["169.254.1.1", "fe80::1", "fe80::1%eth0"],
    "metadata": [
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("fd00:ec2::254", "fd20:ce::254"),
    ],
    "shared": ["100.64.0.1", "100.127.255.254"],
    "reserved": ["240.0.0.1", "0.1.2.3", "192.0.0.8", "192.88.99.1", "5f00::1", "4000::1", "100::1", "2001:20::1"],
    "multicast": ["224.0.0.1", "239.1.2.3", "ff02::1"],
    "unspecified": ["0.0.0.0", "::"],
    "broadcast": ["255.255.255.255"],
    "benchmark": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.7", "2001:db8::1", "3fff::1"],
    "local translation": ["64:ff9b:1::a00:5"],
    "reserved address": ["::8.8.8.8"],
}
PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "100.63.255.255"),
    *("100.128.0.0", "169.253.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "192.0.1.1", "2606:4700::1111"),
    *("2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
]


def _forms(inner: ipaddress.IPv4Address) -> Iterator[str]:
    """The ways in which an IPv6 address says an IPv4 address."""
    bits = int(inner)
    yield str(ipaddress.IPv6Address(0xFFFF << 32 | bits))
    yield str(ipaddress.IPv6Address(bits)) if bits > 1 else "::1"
    yield str(ipaddress.IPv6Address((0x64FF9B << 96) | bits))
    yield str(ipaddress.IPv6Address(0x2002 << 112 | bits << 80 | 1))
    # Teredo: the server stands there as it is, the client with its bits turned.
    yield str(ipaddress.IPv6Address(0x20010000 << 96 | bits << 64 | (~0x08080808 & 0xFFFFFFFF)))
    yield str(ipaddress.IPv6Address(0x20010000 << 96 | 0x08080808 << 64 | (~bits & 0xFFFFFFFF)))
    yield str(ipaddress.IPv6Address(0x2A00 << 112 | 0x5EFE << 32 | bits))
    yield str(ipaddress.IPv6Address(0x2A00 << 112 | 0x02005EFE << 32 | bits))


@pytest.mark.parametrize(("what", "address"), [(what, one) for what, several in REFUSED.items() for one in several])
def test_an_address_that_is_not_public_is_refused_and_named(what: str, address: str) -> None:
    assert what in NOTHING.objection("api.example.com", address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert NOTHING.objection("api.example.com", address) == ""


@pytest.mark.parametrize("inner", [one for several in REFUSED.values() for one in several if ":" not in one])
def test_no_ipv6_form_hides_a_refused_ipv4_address(inner: str) -> None:
    for form in _forms(ipaddress.IPv4Address(inner)):
        assert NOTHING.objection("api.example.com", form), form


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_holds_for_not_global_is_refused_in_every_form(
    address: ipaddress.IPv4Address,
) -> None:
    if not address.is_global or address.is_multicast:
        for form in (str(address), *_forms(address)):
            assert NOTHING.objection("api.example.com", form), form


@given(st.ip_addresses(v=6))
def test_what_the_standard_library_holds_for_not_global_ipv6_is_refused(address: ipaddress.IPv6Address) -> None:
    embeds = address.ipv4_mapped or address.sixtofour or address in ipaddress.ip_network("64:ff9b::/96")
    if not address.is_global and not embeds:
        assert NOTHING.objection("api.example.com", str(address))


@given(st.text(max_size=40))
def test_what_is_no_address_is_refused(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if "%" not in text:
            assert NOTHING.objection("api.example.com", text) == "no address"


def test_a_network_opens_its_addresses_and_no_others() -> None:
    some = allow("10.1.0.0/16", "fd12::/32, 127.0.0.1")
    for address in ("10.1.2.3", "fd12::5", "127.0.0.1", "::ffff:10.1.2.3", "64:ff9b::a01:203"):
        assert some.objection("any.example", address) == "", address
    for address in ("10.2.0.1", "fd13::5", "127.0.0.2", "::1", "::ffff:10.2.0.1", "169.254.169.254"):
        assert some.objection("any.example", address), address


def test_a_name_opens_the_private_addresses_of_exactly_that_host() -> None:
    some = allow("WMS.internal.")
    for host in ("wms.internal", "wms.internal.", "WMS.INTERNAL"):
        assert some.objection(host, "10.0.0.5") == "" and some.objection(host, "127.0.0.1") == ""
    for host in ("a.wms.internal", "internal", "wms.internal.evil.example", "xwms.internal"):
        assert some.objection(host, "10.0.0.5"), host


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "169.254.1.1", "fe80::1", "224.0.0.1", "::"])
def test_a_name_never_opens_metadata_or_link_local_addresses(address: str) -> None:
    assert allow("wms.internal").objection("wms.internal", address)
    assert allow("wms.internal", address).objection("wms.internal", address) == ""


@pytest.mark.parametrize(
    ("entry", "told", "todo"),
    [
        ("10.0.0.5/8", "bits behind the mask", "write 10.0.0.0/8"),
        ("*.internal", "is no name", "exactly one host"),
        ("2130706433", "neither a host's name nor a network", "10.1.0.0/16"),
        ("0x7f.1", "neither a host's name nor a network", ""),
        ("0177.0.0.1", "neither a host's name nor a network", ""),
        ("10.0.0.256", "neither a host's name nor a network", ""),
        ("https://wms.internal", "neither a host's name nor a network", ""),
        ("wms.internal:8080", "neither a host's name nor a network", ""),
        ("lager.köln", "neither a host's name nor a network", ""),
        ("a..b", "neither a host's name nor a network", ""),
        ("10.0.0.0/33", "neither a host's name nor a network", ""),
    ],
)
def test_a_wrong_entry_says_what_to_write(entry: str, told: str, todo: str) -> None:
    made, wrong = read_allow([entry])
    assert made == NOTHING
    assert len(wrong) == 1 and told in wrong[0][0] and repr(entry) in wrong[0][0] and todo in wrong[0][1]


@given(st.text(max_size=300))
def test_any_text_is_an_entry_or_a_fault(text: str) -> None:
    made, wrong = read_allow([text])
    assert made.hosts or made.networks or wrong or not text.replace(",", " ").split()


@pytest.mark.usefixtures("alone")
def test_a_connection_may_call_what_it_the_hub_and_the_machine_allow(tmp_path: Path) -> None:
    files = dict(FILES)
    files["config/hub.yaml"] = files["config/hub.yaml"].replace(
        "  port: 8080\n", "  port: 8080\n  allow: [10.1.0.0/16]\n"
    )
    text = files["config/connections.yaml"]
    files["config/connections.yaml"] = text.replace(
        "connector: acme_wms\n", 'connector: acme_wms\n    allow: ["${NETS}", wms.internal]\n', 1
    )
    env = {**ENV, "NETS": "10.2.0.1, 10.3.0.0/24", "BACKHAUL_ALLOW": "127.0.0.0/8,::1"}
    site = load_site(write(tmp_path, files), env=env)
    wms = site.connections["wms"].allow
    for host, address in (
        ("x", "10.1.0.1"),
        ("x", "10.2.0.1"),
        ("x", "10.3.0.9"),
        ("wms.internal", "10.9.0.1"),
        ("x", "::1"),
    ):
        assert wms.objection(host, address) == "", address
    other = site.connections["shop"].allow
    assert other.objection("x", "10.1.0.1") == "" and other.objection("x", "127.0.0.1") == ""
    assert other.objection("x", "10.2.0.1") and other.objection("wms.internal", "10.9.0.1")


@pytest.mark.usefixtures("alone")
def test_a_site_that_says_nothing_allows_nothing(tmp_path: Path) -> None:
    site = load_site(write(tmp_path, FILES), env=ENV)
    assert {one.allow for one in site.connections.values()} == {NOTHING}


@pytest.mark.usefixtures("alone")
def test_a_wrong_word_of_the_environment_is_a_problem_that_names_the_variable(tmp_path: Path) -> None:
    problems = check(write(tmp_path, FILES), {**ENV, "BACKHAUL_ALLOW": "127.0.0.1/8"})
    assert [str(problem) for problem in problems] == [
        "BACKHAUL_ALLOW: '127.0.0.1/8' is no network: its address has bits behind the mask, write 127.0.0.0/8"
    ]
