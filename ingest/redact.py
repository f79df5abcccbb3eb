"""Secrets out of SQL before anything is kept: the value goes, the words around it and the lines stay.

IDENTIFIED BY 'hunter2'                 ->  IDENTIFIED BY '***'
postgres://ann:hunter2@db/shop          ->  postgres://ann:***@db/shop
"""

from __future__ import annotations

import re

_MASK = "***"
_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|identified\s+(?:with\s+\S+\s+)?by|secret(?:_?access)?(?:_?key)?|"
    r"aws_(?:key_id|secret_key|token|access_key_id|secret_access_key)|access_?key(?:_?id)?|key_?id|session_?token|"
    r"(?:access|auth|api|bearer|refresh|sas)_?(?:token|key)|azure_sas_token|client_?secret|private_?key|account_?key|"
    r"master_?symmetric_?key|master_?key|master_symmetric_key|credentials?|authorization|connection_?string|token"
)
_STRING = r"(?:'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
# A word that means a secret, perhaps quoted and then with = or :, before a quoted string.
_ASSIGNED = re.compile(
    rf"(?P<word>\b(?:\w+_)?(?:{_WORDS})(?:['\"`]\s*(?:=>|[=:])\s*|\s*(?:=>|:=|[=:])\s*|\s+)N?)(?P<value>{_STRING})",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(?P<word>\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)(?P<value>[^\s/@'\"]+)(?=@)", re.IGNORECASE)
_IN_QUERY = re.compile(
    r"(?P<word>[?&;](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|token|password|pwd|"
    r"access_?key|secret|api_?key|accountkey|sharedaccesskey)=)(?P<value>[^&;\s'\"]+)",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bxox[abprs]-[A-Za-z0-9-]{10,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}|\bAIza[A-Za-z0-9_-]{35}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",
    re.DOTALL,
)
# Looked for first, because most SQL holds none of these and the expressions above need not run.
_HINT = re.compile(
    r"pass|pwd|identified|secret|key|token|credential|authoriz|connection|://|-----BEGIN|sig=|AKIA|ASIA|gh[pousr]_|xox|sk-|eyJ|AIza",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with secrets masked; it keeps its lines, so that line numbers still hold."""
    if not _HINT.search(text):
        return text
    text = _SHAPES.sub(lambda found: _MASK + "\n" * found[0].count("\n"), text)
    text = _ASSIGNED.sub(_mask_string, text)
    text = _IN_URL.sub(rf"\g<word>{_MASK}", text)
    return _IN_QUERY.sub(rf"\g<word>{_MASK}", text)


def _mask_string(found: re.Match[str]) -> str:
    value = found["value"]
    if len(value) <= 2:
        return found[0]
    return f"{found['word']}{value[0]}{_MASK}{value[-1]}" + "\n" * value.count("\n")
