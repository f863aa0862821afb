"""Which addresses calls may go to: public ones, and what the site's files allow. Nothing is looked up here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: What a cloud tells its machines, credentials too; some of these addresses look public.
_METADATA = frozenset(
    ip_address(text)
    for text in (
        *("169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe"),
    )
)
_METADATA_IS = "the address of a cloud's metadata service"
#: IANA's special-purpose registry for IPv4. The first that fits names the address.
_IPV4 = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("127.0.0.0/8", "a loopback address"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("169.254.0.0/16", "a link-local address"),
        ("100.64.0.0/10", "an address of a carrier's shared network"),
        ("0.0.0.0/32", "the unspecified address"),
        ("0.0.0.0/8", "a reserved address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.88.99.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("198.18.0.0/15", "a benchmark address"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
#: Of IPv6 only 2000::/3 is given out for public use; what is not named here and not in it is reserved.
_IPV6 = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("::1/128", "a loopback address"),
        ("::/128", "the unspecified address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
        ("2001:2::/48", "a benchmark address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("2001::/23", "a reserved address"),
        ("64:ff9b:1::/48", "an address of a local translation to IPv4"),
    )
)
_PUBLIC = IPv6Network("2000::/3")
_TEREDO, _SIX_TO_FOUR = IPv6Network("2001::/32"), IPv6Network("2002::/16")
_TRANSLATED = IPv6Network("64:ff9b::/96")
#: For `BACKHAUL_ALLOW`, where what is called runs on this machine: the demo, tests, benches.
THIS_MACHINE = "127.0.0.0/8,::1"
#: What only a network in `allow` opens: no owner of a name may turn it into one of these.
_BY_NETWORK_ONLY = frozenset(
    (_METADATA_IS, "a link-local address", "a multicast address", "the unspecified address", "the broadcast address")
)
_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
#: The last part of a name is no number: such a text is one more way to write an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_BETWEEN = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Allow:
    """What may be called although it is not public: hosts by their exact name, and networks."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def __add__(self, other: Allow) -> Allow:
        return Allow(self.hosts | other.hosts, (*self.networks, *other.networks))

    def objection(self, host: str, address: str) -> str:
        """Why a call to `host` may not go to this address of it; "" when it may."""
        found = parse_address(address)
        if found is None:
            return "no address"
        if any(found in network for network in self.networks):
            return ""
        named = plain_host(host) in self.hosts
        for each in (*_embedded(found), found):
            what = _special(each)
            if what and not (named and what not in _BY_NETWORK_ONLY) and not any(each in one for one in self.networks):
                return what if each == found else f"{what} ({each}) in another form"
        return ""


def parse_address(text: str) -> Address | None:
    """The address in its usual form, without the interface that IPv6 may name; None when it is none."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def plain_host(host: str) -> str:
    """A host's name as it is compared."""
    return host.lower().rstrip(".")


def read_allow(texts: Iterable[str]) -> tuple[Allow, list[tuple[str, str]]]:
    """The names and networks in these texts, each several with commas between; and (what is wrong, what to do)."""
    hosts: set[str] = set()
    networks: list[Network] = []
    wrong: list[tuple[str, str]] = []
    for entry in (part for text in texts for part in _BETWEEN.split(text) if part):
        try:
            networks.append(ip_network(entry))
            continue
        except ValueError as error:
            meant = _network_of(entry) if "host bits" in str(error) else ""
        name = plain_host(entry)
        if meant:
            wrong.append((f"{entry!r} is no network: its address has bits behind the mask", f"write {meant}"))
        elif "*" in entry:
            wrong.append((f"{entry!r} is no name", "a name allows exactly one host: write each, or their network"))
        elif not _HOST.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
            todo = "write a name like wms.internal, an address, or a network like 10.1.0.0/16"
            wrong.append((f"{entry!r} is neither a host's name nor a network", todo))
        else:
            hosts.add(name)
    return Allow(frozenset(hosts), tuple(networks)), wrong


def _network_of(entry: str) -> str:
    try:
        return str(ip_network(entry, strict=False))
    except ValueError:
        return ""


def _special(address: Address) -> str:
    """What the address is; "" for a public one."""
    if address in _METADATA:
        return _METADATA_IS
    if isinstance(address, IPv4Address):
        return next((what for network, what in _IPV4 if address in network), "")
    for network, what in _IPV6:
        if address in network:
            return what
    if address in _PUBLIC or address in _TRANSLATED or address.ipv4_mapped:
        return ""
    return "a reserved address"


def _embedded(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a router, or the kernel itself, would make of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    low = IPv4Address(bits & 0xFFFFFFFF)
    if address.ipv4_mapped or address in _TRANSLATED or 1 < bits < 2**32:
        yield low
    elif address in _SIX_TO_FOUR:
        yield IPv4Address(bits >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield IPv4Address(bits >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~bits & 0xFFFFFFFF)
    # ISATAP: any prefix, then this.
    elif bits >> 32 & 0xFDFFFFFF == 0x5EFE:
        yield low
