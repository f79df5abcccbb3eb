"""From a fresh checkout to a served product: ports, the first user, the sentences a person reads."""

import fcntl
import socket
import subprocess
import sys

import pytest
from django.core.management.base import CommandError

from catalog.models import Role, User
from pages.management.commands.serve import first_user, listen, one_at_a_time


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_a_stated_port_that_is_taken_is_an_error_naming_it(taken_port):
    with pytest.raises(CommandError, match=f"127.0.0.1:{taken_port}.*another PORT"):
        listen("127.0.0.1", str(taken_port))


def test_a_stated_port_is_the_one():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    listener, note = listen("127.0.0.1", str(free))
    with listener:
        assert listener.getsockname()[1] == free
        assert note == ""


def test_without_a_stated_port_the_next_free_one_is_taken_and_said(monkeypatch, taken_port):
    monkeypatch.setattr("pages.management.commands.serve._DEFAULT_PORT", taken_port)
    listener, note = listen("127.0.0.1", None)
    with listener:
        assert listener.getsockname()[1] > taken_port
        assert f"Port {taken_port} is taken" in note


@pytest.mark.parametrize("port", ["http", "0", "70000", ""])
def test_what_is_no_port_is_said(port):
    with pytest.raises(CommandError, match="is not a port"):
        listen("127.0.0.1", port)


@pytest.mark.django_db
def test_the_first_user_is_an_admin_with_a_password_that_works(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    message = first_user()
    admin = User.objects.get()
    assert admin.role == Role.ADMIN
    assert admin.check_password(message.rsplit(" ", 1)[1])
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0]


@pytest.mark.django_db
def test_a_changed_password_is_never_shown(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    first_user()
    admin = User.objects.get()
    admin.set_password("my own words")
    admin.save()
    assert "your own name and password" in first_user()


@pytest.mark.django_db
def test_while_one_gets_ready_no_other_does(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    with one_at_a_time(), (tmp_path / "starting.lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "starting.lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_server_ends_without_complaints_of_what_is_left() -> None:
    ended = subprocess.run([sys.executable, "-c", "import duckdb, config.wsgi"], capture_output=True, text=True)
    assert ended.returncode == 0 and "leaked" not in ended.stderr, ended.stderr
