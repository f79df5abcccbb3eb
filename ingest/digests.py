"""Digests that tell whether something has changed."""

from __future__ import annotations

import hashlib


def digest(*parts: bytes | str) -> str:
    """A short digest of all parts, told apart by their lengths."""
    hasher = hashlib.blake2b(digest_size=20)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        hasher.update(b"%d:" % len(data))
        hasher.update(data)
    return hasher.hexdigest()
