"""Secrets out of SQL before anything is kept: the value goes, the words around it and the lines stay.

    IDENTIFIED BY 'hunter2'                 ->  IDENTIFIED BY '***'
    postgres://ann:hunter2@db/shop          ->  postgres://ann:***@db/shop

Most SQL holds no secret, so each expression runs only where one of its hints, a plain text, is found.
"""

from __future__ import annotations

import re

_MASK = "***"
_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|identified\s+(?:with\s+\S+\s+)?by|secret(?:_?access)?(?:_?key)?|"
    r"aws_key_id|access_?key(?:_?id)?|(?:session|access|auth|api|bearer|refresh|sas)_?(?:token|key)|token|"
    r"(?:private|account|master|symmetric)_?key|credentials?|authorization|connection_?string"
)
_WORD_HINTS = (
    *("pass", "pwd", "identified", "secret", "token", "credential", "authorization", "connection_string"),
    *("connectionstring", "aws_key_id", "access_key", "accesskey", "auth_key", "api_key", "apikey", "bearer_key"),
    *("private_key", "privatekey", "account_key", "accountkey", "master_key", "symmetric_key", "sas_key"),
)
_STRING = r"(?:'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
# A word that means a secret, perhaps quoted and then with = or :, before a quoted string.
_ASSIGNED = re.compile(
    rf"(?P<word>\b(?:\w+_)?(?:{_WORDS})(?:['\"`]\s*(?:=>|[=:])\s*|\s*(?:=>|:=|[=:])\s*|\s+)N?)(?P<value>{_STRING})",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(?P<word>://[^\s:/@'\"]*:)(?P<value>[^\s/@'\"]+)(?=@)")
_IN_QUERY = re.compile(
    r"(?P<word>[?&;](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|token|password|pwd|"
    r"access_?key|secret|api_?key|accountkey|sharedaccesskey)=)(?P<value>[^&;\s'\"]+)",
    re.IGNORECASE,
)
# Secrets known by their shape, each with the text that it begins with.
_SHAPES = {
    "-----BEGIN ": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "AKIA": r"\bAKIA[A-Z0-9]{16}\b",
    "ASIA": r"\bASIA[A-Z0-9]{16}\b",
    "gh": r"\bgh[pousr]_[A-Za-z0-9]{30,}",
    "github_pat_": r"\bgithub_pat_\w{30,}",
    "xox": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "sk-": r"\bsk-[A-Za-z0-9_-]{20,}",
    "AIza": r"\bAIza[A-Za-z0-9_-]{35}",
    "eyJ": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",
}
_SHAPE_EXPRESSIONS = {hint: re.compile(shape, re.DOTALL) for hint, shape in _SHAPES.items()}


def redact(text: str) -> str:
    """`text` with secrets masked; it keeps its lines, so that line numbers still hold."""
    for hint, shape in _SHAPE_EXPRESSIONS.items():
        if hint in text:
            text = shape.sub(lambda found: _MASK + "\n" * found[0].count("\n"), text)
    lower = text.lower()
    if any(hint in lower for hint in _WORD_HINTS):
        text = _ASSIGNED.sub(_mask_string, text)
    if "://" in text:
        text = _IN_URL.sub(rf"\g<word>{_MASK}", text)
        text = _IN_QUERY.sub(rf"\g<word>{_MASK}", text)
    return text


def _mask_string(found: re.Match[str]) -> str:
    value = found["value"]
    if len(value) <= 2:
        return found[0]
    return f"{found['word']}{value[0]}{_MASK}{value[-1]}" + "\n" * value.count("\n")
