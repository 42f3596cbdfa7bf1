"""Under which addresses other devices of the same network may reach this machine."""

from __future__ import annotations

import ipaddress
import socket

_VIRTUAL = ("docker", "br-", "veth", "virbr", "vmnet", "tun", "tap", "zt", "wg", "utun")
_PATIENCE = 0.3


def is_local(host: str) -> bool:
    """Whether a host's name means this very machine to whoever uses it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def lan_addresses() -> list[str]:
    """IPv4 addresses of this machine in its networks, that of the default route first; empty without a network."""
    import psutil

    found = []
    for name, addresses in psutil.net_if_addrs().items():
        if not name.startswith(_VIRTUAL):
            found += [a.address for a in addresses if a.family == socket.AF_INET and _useful(a.address)]
    first = _of_default_route()
    return sorted(dict.fromkeys(found), key=lambda address: address != first)


def listens(address: str, port: int) -> bool:
    """Whether a server on this machine takes connections to that address; firewalls on the way are not noticed."""
    try:
        with socket.create_connection((address, port), timeout=_PATIENCE):
            return True
    except OSError:
        return False


def _useful(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def _of_default_route() -> str:
    """The address that packets to the world outside would carry. Nothing is sent: UDP only asks for a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])
