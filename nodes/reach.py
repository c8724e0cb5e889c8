"""How far the bus reaches: its addresses, and the keys without which it stays on this machine.

Beyond loopback every connection is encrypted and both sides are known by their keys (CURVE): the hub lets in those
whose public key lies in its key folder. There are no passwords and no roles: who is let in may say anything.
"""

import socket
from pathlib import Path

import zmq.auth

from ..sitefile import Bus, is_loopback

SUBSCRIBERS, SERVICES, PUBLISHERS = 0, 1, 2  # offsets from bus.port
HUB_KEY, NODE_KEY = "hub", "node"


class BusError(Exception):
    """The bus cannot be used; the text is one sentence that says what would help."""


def endpoint(bus: Bus, offset: int = SUBSCRIBERS) -> str:
    host = f"[{bus.host}]" if ":" in bus.host else bus.host
    return f"tcp://{host}:{bus.port + offset}"


def check_reach(bus: Bus) -> None:
    """Raises BusError where the bus would leave this machine without keys."""
    if bus.keys is None and not is_loopback(bus.host):
        raise BusError(
            f'bus.host = "{bus.host}" is reachable from other machines, so the bus needs keys: '
            'run `whowhere keygen DIR` and set bus.keys = "DIR" in the site file'
        )


def keygen(folder: str | Path) -> list[Path]:
    """Make the key pairs of the hub and of the nodes in `folder`; returns the files. Raises BusError.

    Another machine needs hub.key, node.key and node.key_secret. Each further NAME.key in the hub's folder is let in.
    """
    folder = Path(folder)
    if (folder / f"{HUB_KEY}.key_secret").exists():
        raise BusError(f"{folder} holds keys already: choose another folder, or delete them to lock everybody out")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files = [Path(file) for name in (HUB_KEY, NODE_KEY) for file in zmq.auth.create_certificates(folder, name)]
        for file in files:
            file.chmod(0o600)
    except OSError as error:
        raise BusError(f"{folder}: keys cannot be written: {error.strerror}") from error
    return files


def load_key(bus: Bus, name: str) -> tuple[bytes, bytes]:
    """(public, secret) from the site's key folder; secret is b"" in a public file. Raises BusError."""
    path = Path(bus.keys or "") / name
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise BusError(f'bus.keys: {path} is not a readable key: run `whowhere keygen "{bus.keys}"`') from error
    return public, secret or b""


def address(bus: Bus) -> str:
    """bus.host as a number, which is what sockets are bound to. Raises BusError."""
    try:
        return str(socket.getaddrinfo(bus.host, None)[0][4][0])
    except OSError as error:
        raise BusError(f'bus.host = "{bus.host}" is no known host name or address') from error
