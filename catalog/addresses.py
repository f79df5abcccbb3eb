"""Where sources are reached: a source names an environment variable or a secret file, which holds the address.

The address itself, with its password, is never stored, shown or logged.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from django.core.exceptions import ValidationError

MAX_SECRET = 10_000  # bytes of a secret file: far above any address
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = {"DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "EMAIL_HOST_PASSWORD"}
EXAMPLES = "postgresql://reader:password@host:5432/name, mysql://…, sqlite:////path or duckdb:////path"


class ConnectionProblem(ValueError):
    """Why a source could not be reached or asked, in words for people: they never hold its address."""


def validate_connection(name: str) -> None:
    """Raise ValidationError unless `name` is one of an environment variable or of a secret file. Repeats nothing."""
    if any(mark in name for mark in ("://", "@", "=", " ", "\n")):
        raise ValidationError(
            "This looks like an address itself, which would be stored for others to see. Put the address into an "
            "environment variable or a secret file where Pipekeeper runs, and write that one's name here."
        )
    if name in _OWN:
        raise ValidationError(f"{name} is Pipekeeper's own. Name a variable with the address of the source.")
    if not (_VARIABLE.fullmatch(name) or name.startswith("/")):
        raise ValidationError(
            "Write the name of an environment variable, like WAREHOUSE_URL, or the full path of a secret file, "
            "like /run/secrets/warehouse."
        )


def address_of(name: str) -> str:
    """The address that an environment variable or a secret file holds. Raises ConnectionProblem."""
    if not name:
        raise ConnectionProblem(
            "This source names no connection. Edit it: the name of an environment variable or of a secret file that "
            "holds its address."
        )
    address = _from_file(Path(name)) if name.startswith("/") else _from_environment(name)
    if not address:
        raise ConnectionProblem(f"{name} is empty. Put the address into it: {EXAMPLES}.")
    return address


def _from_environment(name: str) -> str:
    address = os.environ.get(name)
    if address is None:
        raise ConnectionProblem(
            f"The environment variable {name} is not set where Pipekeeper runs. Set it to the address of the source "
            f"({EXAMPLES}), and start Pipekeeper again."
        )
    return address.strip()


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET).decode().strip()
    except OSError as error:
        why = error.strerror
    except UnicodeDecodeError:
        why = "it is not text"
    raise ConnectionProblem(f"The secret file {path} cannot be read: {why}. It must hold the address of the source.")
