"""Every input and output is described, and a business and a technical owner are on record and still here."""

from __future__ import annotations

from collections.abc import Iterator

from audits.practices.facts import Facts, Judgement, Person, Remedy, fails, passes, unknown

MOST_NAMED = 5


def judge(facts: Facts) -> Judgement:
    """One thing lacking fails it. Where no table is known, owners alone do not make it documented."""
    lacks = [*_owners("business", facts.business), *_owners("technical", facts.technical), *_descriptions(facts)]
    if lacks:
        return fails(*(words for words, _ in lacks[:MOST_NAMED]), *_more(lacks), mend=[mend for _, mend in lacks])
    if not facts.inputs and not facts.outputs:
        return unknown("Its owners are on record; what it reads and writes is not known.")
    tables = len({table.node for table in (*facts.inputs, *facts.outputs)})
    named = f"{_names(facts.business)} (business) and {_names(facts.technical)} (technical)"
    return passes(f"All {tables} tables that it reads and writes are described. {named} answer for it.")


def _owners(role: str, owners: tuple[Person, ...]) -> Iterator[tuple[str, Remedy]]:
    if not owners:
        yield f"No {role} owner is on record.", Remedy(f"Name its {role} owner.")
    elif all(owner.has_left for owner in owners):
        names = _names(owners)
        verb = "has" if len(owners) == 1 else "have"
        yield f"{names}, {role} owner, {verb} left.", Remedy(f"Name a {role} owner in place of {names}.")


def _descriptions(facts: Facts) -> Iterator[tuple[str, Remedy]]:
    for role, tables in (("input", facts.inputs), ("output", facts.outputs)):
        for table in tables:
            if not table.is_described:
                yield f"The {role} {table.name} is not described.", Remedy(f"Describe {table.name}.", table.node)


def _more(lacks: list[tuple[str, Remedy]]) -> list[str]:
    left = len(lacks) - MOST_NAMED
    return [f"And {left} more {'is' if left == 1 else 'are'} lacking."] if left > 0 else []


def _names(people: tuple[Person, ...]) -> str:
    return ", ".join(person.name for person in people[:3]) + (" and others" if len(people) > 3 else "")
