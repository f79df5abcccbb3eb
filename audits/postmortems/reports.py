"""A post-mortem from its first words to its publication: one verb each, atomic, through `catalog.policy`.

Nobody overwrites unseen: each section has a revision, and a save names the one it was written over. What loses such a
race is kept as a version, as is the report at each step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from audits.postmortems import notices
from audits.postmortems.models import Cause, Incident, PostMortem, PostMortemVersion, Section
from audits.postmortems.outlines import first_words, sections_for
from audits.postmortems.services import name_of
from catalog import policy
from catalog.models import User
from catalog.policy import Action
from catalog.search_index import index
from catalog.services import policy_checked, record_history
from catalog.touched import touch
from catalog.undo import Undo, puts_back

LONGEST_SECTION = 100_000  # characters
State = PostMortem.State


@dataclass(frozen=True)
class Saved:
    """A section after a save. Where somebody else was first it holds their text, and `refused` what did not go in."""

    section: Section
    refused: str | None = None


@transaction.atomic
def start_post_mortem(*, actor: User | None, incident: Incident) -> PostMortem:
    """Begin the report, with the sections that its severity asks for and what is known already."""
    policy_checked(actor, Action.EDIT, incident)
    if PostMortem.objects.filter(incident=incident).exists():
        raise ValidationError("This incident has a post-mortem already.")
    post_mortem = PostMortem.objects.create(incident=incident, author=actor, author_name=name_of(actor))
    words = first_words(incident)
    asked_for = sections_for(incident.severity)
    Section.objects.bulk_create(
        Section(post_mortem=post_mortem, name=name, position=position, text=words.get(name, ""))
        for position, name in enumerate(Section.Name.values, 1)
        if name in asked_for
    )
    return post_mortem


@transaction.atomic
def save_section(*, actor: User | None, post_mortem: PostMortem, name: str, text: str, revision: int) -> Saved:
    """Write a section over its `revision`; if it has moved on since, nothing is overwritten and both texts are kept."""
    post_mortem = _editable(actor, post_mortem)
    section = post_mortem.sections.filter(name=name).first()
    if section is None:
        raise ValidationError({"name": f"This post-mortem has no section {name}."})
    text = text.replace("\r\n", "\n")
    if len(text) > LONGEST_SECTION:
        raise ValidationError(
            {"text": f"{len(text):,} characters are too many: a section may hold {LONGEST_SECTION:,}. Attach the log."}
        )
    if text == section.text:
        return Saved(section)
    if section.revision != revision:
        _keep_refused(actor, post_mortem, section, text)
        return Saved(section, refused=text)
    _keep_before_another(actor, post_mortem)
    section.text, section.revision = text, revision + 1
    section.saved_by_name, section.saved_at = name_of(actor), timezone.now()
    section.save()
    return Saved(section)


@transaction.atomic
def add_section(*, actor: User | None, post_mortem: PostMortem, name: str) -> Section:
    """Add a section that the severity does not ask for, empty, in its usual place."""
    post_mortem = _editable(actor, post_mortem)
    if name not in Section.Name.values:
        raise ValidationError({"name": f"No section is called {name}. Known: {', '.join(Section.Name.values)}."})
    position = Section.Name.values.index(name) + 1
    return post_mortem.sections.get_or_create(name=name, defaults={"position": position})[0]


@transaction.atomic
def set_causes(*, actor: User | None, post_mortem: PostMortem, root: str, contributing: Iterable[str]) -> None:
    """State the root cause and what contributed, by code."""
    post_mortem = _editable(actor, post_mortem)
    wanted = dict.fromkeys(contributing, False) | ({root: True} if root else {})
    unknown = [code for code in wanted if code not in Cause.Code.values]
    if unknown:
        raise ValidationError({"causes": f"No cause is called {', '.join(unknown)}. Known: {', '.join(Cause.Code)}."})
    before = _causes_now(post_mortem)
    post_mortem.causes.all().delete()
    Cause.objects.bulk_create(
        Cause(post_mortem=post_mortem, code=code, is_root=is_root) for code, is_root in wanted.items()
    )
    after = _causes_now(post_mortem)
    if before != after:
        undo = Undo("causes of a post-mortem", before, after, post_mortem.pk)
        record_history(actor, "changed", post_mortem.incident, _in_words(before), _in_words(after), undo)


def _causes_now(post_mortem: PostMortem, names: Iterable[str] = ()) -> dict[str, Any]:
    """The code of the root cause, "" for none, and those of what contributed."""
    causes = list(post_mortem.causes.order_by("code"))
    return {
        "root_cause": next((cause.code for cause in causes if cause.is_root), ""),
        "causes": [cause.code for cause in causes if not cause.is_root],
    }


def _in_words(causes: dict[str, Any]) -> dict[str, Any]:
    root, others = causes["root_cause"], causes["causes"]
    return {
        "root_cause": Cause.Code(root).label if root else "",
        "contributing_causes": [Cause.Code(code).label for code in others],
    }


@puts_back("causes of a post-mortem", PostMortem, _causes_now)
def _put_causes_back(actor: User | None, post_mortem: PostMortem, had: dict[str, Any]) -> None:
    set_causes(actor=actor, post_mortem=post_mortem, root=had["root_cause"], contributing=had["causes"])


@transaction.atomic
def send_to_review(*, actor: User | None, post_mortem: PostMortem, reviewer: User) -> PostMortem:
    """Ask somebody else to read it. What its severity asks for must be written, and the root cause be named."""
    post_mortem = _editable(actor, post_mortem)
    if reviewer.pk == post_mortem.author_id:
        raise ValidationError({"reviewer": "The author cannot review their own post-mortem. Choose somebody else."})
    if not policy.may(reviewer, Action.VIEW):
        raise ValidationError({"reviewer": f"{reviewer} has no role here, and could not read it."})
    empty = [each.get_name_display() for each in post_mortem.sections.all() if not each.text.strip()]
    if empty:
        raise ValidationError(f"Nothing is written yet under: {', '.join(empty)}.")
    if not post_mortem.causes.filter(is_root=True).exists():
        raise ValidationError("Choose the code of the root cause first.")
    post_mortem.reviewer, post_mortem.reviewer_name = reviewer, name_of(reviewer)
    post_mortem = _move(actor, post_mortem, State.IN_REVIEW, f"Sent to {post_mortem.reviewer_name} for review")
    notices.to_review(post_mortem)
    return post_mortem


@transaction.atomic
def send_back(*, actor: User, post_mortem: PostMortem, words: str) -> PostMortem:
    """The reviewer asks for changes, or the author takes it back."""
    post_mortem = _locked(post_mortem)
    if actor.pk not in (post_mortem.reviewer_id, post_mortem.author_id):
        policy.require(actor, Action.EDIT, post_mortem)
    _require_state(post_mortem, State.IN_REVIEW)
    if not words.strip():
        raise ValidationError({"words": "Say what is missing."})
    return _move(actor, post_mortem, State.DRAFT, f"Sent back: {words.strip()}")


@transaction.atomic
def publish(*, actor: User, post_mortem: PostMortem) -> PostMortem:
    """The reviewer's yes."""
    post_mortem = _locked(post_mortem)
    _require_state(post_mortem, State.IN_REVIEW)
    if actor.pk != post_mortem.reviewer_id or not policy.may(actor, Action.VIEW):
        raise PermissionDenied(f"Only {post_mortem.reviewer_name}, who reviews it, can publish it.")
    post_mortem.published_at = timezone.now()
    post_mortem = _move(actor, post_mortem, State.PUBLISHED, "Published")
    notices.published(post_mortem)
    return post_mortem


@transaction.atomic
def reopen(*, actor: User | None, post_mortem: PostMortem, words: str) -> PostMortem:
    """Something is to be added or put right; the published text stays as a version."""
    policy_checked(actor, Action.EDIT, post_mortem)
    post_mortem = _locked(post_mortem)
    _require_state(post_mortem, State.PUBLISHED)
    if not words.strip():
        raise ValidationError({"words": "Say why it is opened again."})
    return _move(actor, post_mortem, State.REOPENED, f"Opened again: {words.strip()}")


# Versions


def content_of(post_mortem: PostMortem) -> dict[str, Any]:
    """The report as it reads now. Two queries."""
    return {"sections": dict(post_mortem.sections.values_list("name", "text"))} | _causes_now(post_mortem)


def _keep(actor: User | None, post_mortem: PostMortem, words: str, content: dict[str, Any]) -> PostMortemVersion:
    latest = post_mortem.versions.first()
    return PostMortemVersion.objects.create(
        post_mortem=post_mortem,
        number=latest.number + 1 if latest else 1,
        by_name=name_of(actor),
        words=words[:500],
        state=post_mortem.state,
        content=content,
    )


def _keep_before_another(actor: User | None, post_mortem: PostMortem) -> None:
    """Where somebody else wrote last, keep what they left before this person goes on."""
    last = post_mortem.sections.filter(saved_at__isnull=False).order_by("-saved_at").first()
    if last is None or last.saved_by_name == name_of(actor):
        return
    content, latest = content_of(post_mortem), post_mortem.versions.first()
    if latest is None or latest.content != content:
        _keep(actor, post_mortem, f"As {last.saved_by_name} left it", content)


def _keep_refused(actor: User | None, post_mortem: PostMortem, section: Section, text: str) -> None:
    """Keep a text that lost a race; while its writer types on, the same version takes the longer text."""
    words = f"Not gone in: {section.get_name_display()}, where {section.saved_by_name} was first"
    latest = post_mortem.versions.first()
    content = {"sections": {section.name: text}, "root_cause": "", "causes": []}
    if latest is not None and (latest.words, latest.by_name) == (words, name_of(actor)):
        latest.content = content
        latest.save(update_fields=["content"])
    else:
        _keep(actor, post_mortem, words, content)


# Helpers


def _move(actor: User | None, post_mortem: PostMortem, state: str, words: str) -> PostMortem:
    post_mortem.state = state
    post_mortem.save()
    _keep(actor, post_mortem, words, content_of(post_mortem))
    index("incident", [post_mortem.incident_id])
    touch(post_mortem)
    return post_mortem


def _editable(actor: User | None, post_mortem: PostMortem) -> PostMortem:
    policy_checked(actor, Action.EDIT, post_mortem)
    post_mortem = _locked(post_mortem)
    if post_mortem.state not in PostMortem.EDITABLE:
        state = post_mortem.get_state_display().lower()
        raise ValidationError(f"This post-mortem is {state}, so its text stays. Send it back or reopen it first.")
    return post_mortem


def _locked(post_mortem: PostMortem) -> PostMortem:
    return PostMortem.objects.select_for_update(of=("self",)).select_related("incident").get(pk=post_mortem.pk)


def _require_state(post_mortem: PostMortem, *states: str) -> None:
    if post_mortem.state not in states:
        wanted = " or ".join(State(state).label.lower() for state in states)
        now = post_mortem.get_state_display().lower()
        raise ValidationError(f"This needs a post-mortem that is {wanted}; it is {now}.")
