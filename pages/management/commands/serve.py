"""`manage.py serve`: everything between a fresh checkout and a running product, then gunicorn in its place."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from catalog import search_index
from catalog.models import Role, SearchDocument, Source, User
from ingest.locks import held

_DEFAULT_PORT = 8000
_PORTS_TRIED = 50


class Command(BaseCommand):
    help = "Migrate, make the first user, load the demo where it is wanted, and serve."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        _check_writable(settings.VAR_DIR)
        with one_at_a_time():
            sign_in = self.make_ready()
        listener, note = listen(os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT"))
        host, port = listener.getsockname()[:2]
        if note:
            self.stdout.write(note)
        shown = f"[{host}]" if ":" in host else host
        self.stdout.write(self.style.SUCCESS(f"Pipekeeper is at http://{shown}:{port}/  (Ctrl-C stops it)"))
        self.stdout.write(sign_in)
        if not ipaddress.ip_address(host).is_loopback and "ALLOWED_HOSTS" not in os.environ:
            self.stdout.write("Others reach it only under the names you put in ALLOWED_HOSTS.")
        self.stdout.flush()
        connection.close()
        become_gunicorn(listener)

    def make_ready(self) -> str:
        """Bring database, static files and search up to date, with what is made only once; say how to sign in."""
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        sign_in = first_user()
        if settings.DEMO and not Source.objects.exists():
            self.stdout.write("Loading the demo warehouse, once …")
            call_command("load_demo")
        if Source.objects.exists() and not SearchDocument.objects.exists():
            self.stdout.write("Indexing for search what is here already, once …")
            search_index.rebuild()
        return sign_in


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Several may start at once: one after another they write the static files under var/, and the database."""
    with open(settings.VAR_DIR / "starting.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with held("serve is starting"):
            yield


def first_user() -> str:
    """Make the first user where there is none; say how to sign in. The password is kept in a file until changed."""
    note = _password_file()
    if not User.objects.exists():
        password = secrets.token_urlsafe(9)
        User.objects.create_superuser("admin", password=password, role=Role.ADMIN)
        note.touch(mode=0o600)
        note.write_text(password)
    admin = User.objects.filter(username="admin").first()
    if admin is not None and note.exists() and admin.check_password(note.read_text()):
        return f"Sign in as admin with the password {note.read_text()}"
    return "Sign in with your own name and password (forgotten: .venv/bin/python manage.py changepassword NAME)."


def listen(host: str, port: str | None) -> tuple[socket.socket, str]:
    """A listening socket and a remark: the stated port or an error; without one, 8000 or the next free."""
    if port is not None and not (port.isdigit() and 0 < int(port) < 65536):
        raise CommandError(f"PORT={port!r} is not a port: write a number from 1 to 65535.")
    wanted = int(port or _DEFAULT_PORT)
    for candidate in range(wanted, wanted + (1 if port else _PORTS_TRIED)):
        try:
            listener = socket.create_server((host, candidate), family=_family(host), backlog=512)
        except OSError as error:
            if candidate == wanted and port:
                raise CommandError(
                    f"Cannot listen on {host}:{wanted}: {error.strerror}. Choose another PORT."
                ) from error
            continue
        return listener, "" if candidate == wanted else f"Port {wanted} is taken, so this is on {candidate}."
    raise CommandError(f"No free port from {wanted} to {wanted + _PORTS_TRIED - 1} on {host}. Name one with PORT.")


def become_gunicorn(listener: socket.socket) -> None:
    """Replace this process: one worker with threads, which SQLite likes; WEB_CONCURRENCY asks for more."""
    listener.set_inheritable(True)
    command = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "--bind", f"fd://{listener.fileno()}"]
    command += ["--worker-class", "gthread", "--threads", "8", "--log-level", "warning", "--timeout", "60"]
    os.execv(sys.executable, command)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _password_file() -> Path:
    database = settings.DATABASES["default"]
    return settings.VAR_DIR / f"{Path(str(database['NAME'])).stem}.first-password"


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise CommandError(f"Cannot make {folder}: {error.strerror}. Run as the folder's owner.") from error
    if not os.access(folder, os.W_OK):
        raise CommandError(f"{folder} cannot be written by this user. Run as its owner.")
