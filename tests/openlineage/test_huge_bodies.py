"""A body of a gigabyte, really sent to a real server: refused at the limit, and never held in memory."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from catalog.tokens import issue_token
from tests.openlineage.events import RECORDED

pytestmark = pytest.mark.django_db(transaction=True)
PIECE, PIECES = b" " * 1_000_000, 1_000
GROWN = 64_000_000  # bytes that the server may take, of which the limit is 10 MB


class Server:
    """gunicorn as `serve` starts it, but with no more than one thread."""

    def __init__(self, address: str, secret: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port, self.secret = free.getsockname()[1], secret
        command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "--bind", f"127.0.0.1:{self.port}"]
        command += ["--worker-class", "gthread", "--threads", "1", "--log-level", "warning"]
        environment = {**os.environ, "DATABASE_URL": address, "DEMO": "0"}
        self.process = subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment)

    def memory(self) -> int:
        """The most bytes that the worker has held."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (found,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{children[0]}/status").read_text())
        return int(found) * 1024

    def send(self, headers: dict[str, str], pieces: Iterator[bytes]) -> tuple[int, int]:
        """Status of the answer, and how many bytes of the body went out until it came."""
        head = {"Host": "127.0.0.1", "Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (head | headers).items())
        sent = 0
        with self._connected() as peer:
            peer.sendall(f"POST /api/v1/lineage HTTP/1.1\r\n{lines}\r\n".encode())
            try:
                for piece in pieces:
                    peer.sendall(piece)
                    sent += len(piece)
            except ConnectionError:  # it answered, and closed
                pass
            return int(peer.recv(100).split(b" ")[1]), sent

    def _connected(self) -> socket.socket:
        for _ in range(600):
            try:
                return socket.create_connection(("127.0.0.1", self.port), 60)
            except ConnectionRefusedError:
                time.sleep(0.1)
        raise AssertionError("gunicorn did not start")


@pytest.fixture
def server(tmp_path: Path, editor) -> Iterator[Server]:
    _, secret = issue_token(user=editor, name="client", scope="ingest")
    started = Server(_address(tmp_path), secret)
    yield started
    started.process.terminate()
    started.process.wait()


def _address(folder: Path) -> str:
    """This test's database, as another process finds it."""
    if connection.vendor == "sqlite":
        connection.cursor().execute(f"VACUUM INTO '{folder / 'copy.sqlite3'}'")
        return f"sqlite:///{folder / 'copy.sqlite3'}"
    at = connection.settings_dict
    return f"postgres://{at['USER']}:{at['PASSWORD']}@{at['HOST']}:{at['PORT']}/{at['NAME']}"


def in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def bomb() -> bytes:
    """A gigabyte of blanks, packed to a thousandth."""
    pack = zlib.compressobj(wbits=31)
    return b"".join([*(pack.compress(PIECE) for _ in range(PIECES)), pack.flush()])


def test_a_gigabyte_is_refused_at_the_limit_and_never_held(server) -> None:
    event = json.dumps(RECORDED["openlineage-000"]).encode()
    assert server.send({"Transfer-Encoding": "chunked"}, in_chunks(iter([event[:99], event[99:]])))[0] == 201
    before = server.memory()
    status, sent = server.send({"Content-Length": str(len(PIECE) * PIECES)}, (PIECE for _ in range(PIECES)))
    assert status == 413
    assert sent < 30_000_000  # as much as lies between the two
    status, sent = server.send({"Transfer-Encoding": "chunked"}, in_chunks(PIECE for _ in range(PIECES)))
    assert status == 413
    assert sent < 40_000_000
    packed = bomb()
    assert len(packed) < settings.LINEAGE_MAX_BYTES
    headers = {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}
    assert server.send(headers, iter([packed]))[0] == 413
    assert server.memory() - before < GROWN
