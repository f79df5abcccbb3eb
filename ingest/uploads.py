"""Files that people send for an ingest to read: what may be sent, and where it lies while it is read.

Small ones only: a warehouse's whole log, or the target folder of a very large project, is read by its command.
"""

from __future__ import annotations

import datetime as dt
import io
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadhandler import FileUploadHandler
from django.utils import timezone

from ingest.models import IngestRun, IngestUpload

MAX_BYTES = 32_000_000  # of an upload
MAX_FILES, MAX_UNPACKED = 20_000, 400_000_000  # of what a zip holds
KEPT = dt.timedelta(days=7)  # for a run that ended early to be taken up again
_FORM = 100_000  # bytes of a form around its file
MANIFEST = "manifest.json"
_GZIP = b"\x1f\x8b"
_FOLDER = "pipekeeper-upload-"
_LAY_IN = re.compile(rf"{re.escape(tempfile.gettempdir())}/{_FOLDER}\w+/")


class BoundedUpload(FileUploadHandler):
    """Keeps nothing of a request that is larger than any upload may be, and says so: `request.upload_is_too_large`."""

    is_too_large = False

    def handle_raw_input(self, input_data: Any, META: Any, content_length: int, *_: Any, **__: Any) -> None:  # noqa: N803
        self.is_too_large = content_length > MAX_BYTES + _FORM
        self.request.upload_is_too_large = self.is_too_large

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        return None if self.is_too_large else raw_data

    def file_complete(self, file_size: int) -> None:
        return None


def check_upload(kind: str, name: str, data: bytes) -> None:
    """ValidationError, with what would be right, unless `data` is something that an ingest of `kind` may be sent."""
    if len(data) > MAX_BYTES:
        raise ValidationError(too_large())
    if not data:
        raise ValidationError(f"{name} is empty.")
    is_zip = data[:2] == b"PK"
    if kind == IngestRun.Kind.DBT:
        names = _names_in_zip(name, data) if is_zip else [MANIFEST]
        if not is_zip and not data.lstrip()[:1] == b"{":
            raise ValidationError(f"{name} is neither {MANIFEST} nor a zip of dbt's target folder.")
        if not any(PurePosixPath(inside).name == MANIFEST for inside in names):
            raise ValidationError(f"{name} holds no {MANIFEST}. Zip dbt's target folder after `dbt docs generate`.")
    elif kind == IngestRun.Kind.REPO:
        if not is_zip:
            raise ValidationError(f"{name} is no zip. Zip the folder that holds the SQL.")
        if not any(inside.lower().endswith(".sql") for inside in _names_in_zip(name, data)):
            raise ValidationError(f"{name} holds no .sql file.")
    elif kind == IngestRun.Kind.OPENLINEAGE and data[:2] != _GZIP and data.lstrip()[:1] != b"{":
        raise ValidationError(f"{name} holds no events. Send JSON lines, an event on each, plain or as .gz.")
    elif is_zip:
        raise ValidationError(f"{name} is a zip. Send the file itself, plain or as .gz.")


def forget_old_uploads() -> None:
    """Drop files of runs that ended early and that nobody took up again."""
    IngestUpload.objects.filter(run__ended_at__lt=timezone.now() - KEPT).delete()


def too_large() -> str:
    """The refusal of a file that is too large."""
    return f"A file may have {MAX_BYTES // 1_000_000} MB at most. Read larger ones with the command, on the server."


@contextmanager
def laid_out(run: IngestRun) -> Iterator[dict[str, Any]]:
    """Where what was sent for a run lies on this machine's disk, as options of its ingest; none where nothing was."""
    if "upload" not in run.options:
        yield {}
        return
    upload = IngestUpload.objects.filter(run=run).first()
    if upload is None:
        raise ValidationError(f"{run.options['upload']} is not kept any more. Send it again.")
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        yield _paths(run.kind, upload, Path(folder))


def with_own_names(facts: Any) -> Any:
    """What came of a run, text or lists and dictionaries of it, without the folder in which an upload was read."""
    if isinstance(facts, str):
        return _LAY_IN.sub("", facts)
    if isinstance(facts, dict):
        return {name: with_own_names(value) for name, value in facts.items()}
    return [with_own_names(value) for value in facts] if isinstance(facts, list) else facts


def _paths(kind: str, upload: IngestUpload, folder: Path) -> dict[str, Any]:
    data = bytes(upload.data)
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)
    else:
        name = MANIFEST if kind == IngestRun.Kind.DBT else PurePosixPath(upload.name).name
        (folder / name).write_bytes(data)
    if kind == IngestRun.Kind.DBT:
        manifests = sorted(folder.rglob(MANIFEST), key=lambda path: len(path.parts))
        return {"target": str(manifests[0].parent)}
    if kind == IngestRun.Kind.REPO:
        return {"folder": str(_only_folder(folder))}
    return {"files": [str(path) for path in folder.iterdir()]}


def _only_folder(folder: Path) -> Path:
    """A zip often holds one folder with everything in it."""
    inside = [path for path in folder.iterdir() if not path.name.startswith(("__MACOSX", "."))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _names_in_zip(name: str, data: bytes) -> list[str]:
    """The files in a zip. ValidationError unless all of them may be unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValidationError(f"{name} is no whole zip ({error}). Pack it again.") from error
    if len(members) > MAX_FILES:
        raise ValidationError(f"{name} holds {len(members):,} files; at most {MAX_FILES:,} are read.")
    size = sum(member.file_size for member in members)
    if size > MAX_UNPACKED:
        raise ValidationError(f"{name} unpacks to {size:,} bytes; at most {MAX_UNPACKED:,} are.")
    for member in members:
        path = PurePosixPath(member.filename)
        if path.is_absolute() or ".." in path.parts or stat.S_ISLNK(member.external_attr >> 16):
            raise ValidationError(f"{name} holds {member.filename}, which leads out of its folder. Pack it without.")
        if member.flag_bits & 1:
            raise ValidationError(f"{name} is locked with a password. Pack it without one.")
    return [member.filename for member in members]
