"""The company's catalog, asked over REST what a change of this repository breaks elsewhere."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ingest.changes import Hit, Report, Version, changes_between, repository_of
from lineage.nodes import NodeId

VERSION = 1  # of the answer that is understood here
SECONDS = 60
MOST_BYTES = 50_000_000


class CatalogError(Exception):
    """Why the catalog could not be asked, in words; never with the token."""


def with_catalog(report: Report, base: Version, new: Version, url: str, token: str) -> Report:
    """The report with what the catalog at `url` adds: other repositories, dashboards, columns really read."""
    words = dict(_sent(report, base, new))
    if not words:
        return report
    answer = _ask(url, token, {"changes": list(words), "repository": repository_of(base, new)})
    told = _Answer(answer, words)
    return Report(
        breaks=_joined(report.breaks, told.breaks()),
        affected=_joined(report.affected, told.affected()),
        unknown=_joined(report.unknown, told.unknown()),
    )


def _sent(report: Report, base: Version, new: Version) -> Iterator[tuple[str, str]]:
    """The changes as the catalog spells them, with their words here: what goes and changes, and of what is built here
    what is then not built, or in doubt."""
    for change in changes_between(base, new):
        if change.verb == "drop_column" and (change.table, change.column) not in report.gone:
            continue  # its builder breaks, and leaves it as it was
        argument = f" {change.argument}" if change.argument else ""
        yield f"{change.verb} {change.node}{argument}", change.words
    for verb, hits in (("not_refreshed", report.breaks), ("lose_columns", report.unknown)):
        yield from ((f"{verb} {hit.node}", hit.change) for hit in hits if hit.node.startswith("table:"))


def _ask(url: str, token: str, question: Mapping[str, Any]) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise CatalogError("The address of the catalog is not one like https://pipekeeper.example.com.")
    request = urllib.request.Request(
        f"{url.rstrip('/')}/api/v1/impact/",
        data=json.dumps(question).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=SECONDS) as response:
            answer = json.loads(response.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        raise CatalogError(_refusal(error, url)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise CatalogError(f"The catalog at {url} cannot be reached, or does not answer: {reason}.") from error
    if not isinstance(answer, dict) or answer.get("version") != VERSION:
        raise CatalogError(f"The catalog at {url} is of another version than this command. Update the older of them.")
    return answer


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The token goes to the address given and to no other."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def _refusal(error: urllib.error.HTTPError, url: str) -> str:
    if error.code in (401, 403):
        return f"The catalog at {url} refuses the token in PIPEKEEPER_TOKEN ({error.code}). It needs the scope read."
    if error.code in (404, 405):
        return f"The catalog at {url} is of another version than this command: it knows no question of this kind."
    return f"The catalog at {url} answers {error.code} {error.reason}: {_message(error)}"


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(10_000))["error"]["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError):
        return "it says no more."


class _Answer:
    """The catalog's answer in the shape of a report, each change in the words that it has here."""

    def __init__(self, answer: Mapping[str, Any], words: Mapping[str, str]) -> None:
        self.answer, self.words = answer, words
        self.names = {message["owner"]: message["name"] for message in answer["messages"]}
        broken = {tuple(hit["path"]) for hit in answer["breaks"]}
        self.not_built = [hit for hit in answer["stale"] if tuple(hit["path"][:-1]) in broken]

    def breaks(self) -> Iterator[Hit]:
        """Pipelines with the tables that they then do not build, and queries that people and tools really run."""
        built = {tuple(hit["path"][:-1]) for hit in self.not_built}
        yield from map(self._hit, self.not_built)
        yield from (self._hit(hit) for hit in self.answer["breaks"] if tuple(hit["path"]) not in built)
        for lost in self.answer["reads"]:
            hit = self._hit(lost | {"owners": []})
            yield replace(hit, change=f"{hit.change}: {lost['reads']} queries in 90 days, not of pipelines, name it")

    def affected(self) -> Iterator[Hit]:
        for hit in [*self.answer["stale"], *self.answer["affected"]]:
            if hit not in self.not_built and len(hit["path"]) > 1:
                yield self._hit(hit)

    def unknown(self) -> Iterator[Hit]:
        yield from (self._hit(hit) for hit in self.answer["unknown"] if len(hit["path"]) > 1)
        for node in self.answer["not_found"]:
            yield Hit("the catalog does not know this table, so not who else reads it", node, "", [node], [])
        if self.answer["capped"]:
            yield Hit("more is hit in the catalog than it follows", "", "", [], [])

    def _hit(self, hit: Mapping[str, Any]) -> Hit:
        pipelines = [node for node in hit["path"] if node.startswith("pipeline:")]
        pipeline = NodeId.parse(pipelines[-1]).name if pipelines else ""
        owners = [self.names.get(slug, slug) for slug in hit["owners"]]
        return Hit(self.words.get(hit["change"], hit["change"]), hit["node"], pipeline, hit["path"], owners)


def _joined(local: list[Hit], told: Iterable[Hit]) -> list[Hit]:
    """Both, but what is known here already."""
    known = {(hit.node, hit.pipeline) for hit in local if hit.pipeline}
    return [*local, *(hit for hit in told if (hit.node, hit.pipeline) not in known)]
