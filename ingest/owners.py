"""Owners as files name them: an e-mail address is a person, any other name a team."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from catalog.facts import OwnerFact

_ADDRESS = re.compile(r"(?:(?P<name>[^<>]*)<)?(?P<email>[^\s<>@]+@[^\s<>@]+?)>?")


def slug_of(text: str) -> str:
    """`Tomás Oliveira` -> `tomas-oliveira`; `a.b@x.org` -> `a-b-x-org`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:150] or "owner-" + text.encode().hex()[:40]


class OwnerBook:
    """The owners a folder names, each once, whether by name or by e-mail address."""

    def __init__(self, declared: Iterable[OwnerFact] = ()) -> None:
        self._owners: dict[str, OwnerFact] = {}
        self._slugs: dict[str, str] = {}
        for owner in declared:
            self._add(owner)

    def slugs(self, names: Iterable[str]) -> tuple[str, ...]:
        """Slugs of the owners called so, entered in the book when new."""
        return tuple(dict.fromkeys(self._slug(name.strip()) for name in names if name.strip()))

    def owners(self) -> list[OwnerFact]:
        """Everybody in the book, by slug."""
        return [self._owners[slug] for slug in sorted(self._owners)]

    def _slug(self, name: str) -> str:
        return self._slugs.get(name.casefold()) or self._add(owner_named(name))

    def _add(self, owner: OwnerFact) -> str:
        slug = self._slugs.get(owner.email.casefold(), owner.slug) if owner.email else owner.slug
        self._owners.setdefault(slug, owner)
        for word in (owner.name, owner.email):
            if word:
                self._slugs.setdefault(word.casefold(), slug)
        return slug


def owner_named(text: str) -> OwnerFact:
    """`Ann Lee <ann@x.org>` and `ann@x.org` are people, `Data Platform` and `org/team` are teams."""
    address = _ADDRESS.fullmatch(text)
    if not address:
        return OwnerFact(slug_of(text), text[:150], "team")
    email = address["email"]
    return OwnerFact(slug_of(email), ((address["name"] or "").strip() or email)[:150], "person", email[:254])
