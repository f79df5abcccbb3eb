"""One POST to an address that somebody stated: signed, never into our own network, and never longer than it may."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

LONGEST = 10.0  # seconds for the whole exchange, however slowly the other side drips
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # its last four bytes are an IPv4 address


class PostProblem(Exception):
    """Why nothing arrived, in words for people."""


def post(url: str, body: bytes, headers: dict[str, str]) -> None:
    """Send `body`; PostProblem unless the answer is 2xx. A redirect is an answer like any other, and not followed.

    The name is looked up once, and that very address is connected to: it cannot turn internal in between.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    connection = _Connection(parts, port, public_address(parts.hostname or "", port))
    alarm = threading.Timer(LONGEST, connection.give_up)
    try:
        alarm.start()
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {"User-Agent": "Pipekeeper", **headers})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        if connection.gave_up or isinstance(error, TimeoutError):
            raise PostProblem(f"No answer within {LONGEST:.0f} seconds.") from error
        raise PostProblem(f"The connection failed: {type(error).__name__}: {error}"[:300]) from error
    finally:
        alarm.cancel()
        connection.close()
    if not 200 <= status < 300:
        hint = " Redirects are not followed: state the address it leads to." if 300 <= status < 400 else ""
        raise PostProblem(f"The answer was {status}.{hint}")


def public_address(host: str, port: int) -> str:
    """An address of `host` on the open internet; PostProblem if any of its addresses is not.

    Hosts listed in WEBHOOK_HOSTS may be internal.
    """
    try:
        found = [info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise PostProblem(f"The name {host} cannot be looked up.") from error
    internal = [address for address in found if not is_public(str(address))]
    if internal and host not in settings.WEBHOOK_HOSTS:
        raise PostProblem(
            f"{host} is at {internal[0]}, inside a private network, where notices are not sent."
            " Whoever runs this site can allow the host with WEBHOOK_HOSTS."
        )
    return str(found[0])


def is_public(address: str) -> bool:
    """Whether an IP address, or the IPv4 address that it wraps, is one of the open internet."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            wrapped = ipaddress.IPv4Address(ip.packed[-4:])
        ip = wrapped or ip
    return ip.is_global and not ip.is_multicast


def signature(secret: str, at: int, body: bytes) -> str:
    """What `X-Pipekeeper-Signature` says: HMAC-SHA256 of the time, a dot and the body."""
    return "sha256=" + hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def signed_headers(secret: str, body: bytes) -> dict[str, str]:
    """The headers that prove where a post comes from and when it was sent."""
    at = int(time.time())
    return {
        "Content-Type": "application/json",
        "X-Pipekeeper-Timestamp": str(at),
        "X-Pipekeeper-Signature": signature(secret, at, body),
    }


class _Connection(http.client.HTTPConnection):
    """A connection to `address`, speaking to the host that the URL names."""

    def __init__(self, parts: SplitResult, port: int, address: str) -> None:
        super().__init__(parts.hostname or "", port, timeout=LONGEST)
        self.default_port = 443 if parts.scheme == "https" else 80
        self.address = address
        self.is_encrypted = parts.scheme == "https"
        self.gave_up = False

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.is_encrypted:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock.do_handshake()  # once `give_up` can reach the socket

    def give_up(self) -> None:
        """End the exchange from outside: a read in progress fails at once."""
        self.gave_up = True
        if self.sock is not None:
            with contextlib.suppress(OSError):  # it may be over already
                self.sock.shutdown(socket.SHUT_RDWR)
