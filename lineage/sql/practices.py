"""How each output is loaded, judged from the statements alone: strategy, idempotent, atomic, safe to backfill.

Three answers: true, false, and None where the SQL alone cannot tell. Guessing is a failure. The rules are those of the
"seven practices" of data pipelines: full refresh or incremental, the same result on every run, all or nothing.
"""

from dataclasses import dataclass, field
from typing import Any

from .effects import Effects
from .loads import Load, job_load, load_of
from .model import (
    APPEND,
    FULL_REFRESH,
    INCREMENTAL,
    MERGE,
    NO_PRACTICES,
    UNKNOWN,
    OutputPractices,
    PracticeReason,
    Practices,
    Statement,
)

WORST_FIRST = (APPEND, UNKNOWN, MERGE, INCREMENTAL, FULL_REFRESH)
IDEMPOTENT, ATOMIC, BACKFILL, STRATEGY = "idempotent", "atomic", "backfill_safe", "load_strategy"


Judged = tuple[str, bool | None, bool | None]  # strategy, idempotent, safe to backfill


@dataclass(slots=True)
class Output:
    """The loads of one output so far, and what they come to."""

    loads: list[Judged] = field(default_factory=list)
    notes: dict[str, bool] = field(default_factory=dict)  # what no run can repeat; whether it names a partition
    is_fresh: bool = False  # emptied or made anew by this script
    is_made_again: bool | None = True  # None: made by a CREATE TABLE that a second run would stop at
    deleted: Load | None = None  # the slice or keys that were deleted last
    visible: list[tuple[int, int | None]] = field(default_factory=list)  # (statement, transaction) of what readers see
    atomic: bool | None = True  # of the single statements
    reasons: list[tuple[str, str, int]] = field(default_factory=list)

    def say(self, practice: str, message: str, number: int) -> None:
        if message:
            self.reasons.append((practice, message, number))


class Judge:
    """Takes the statements in order and answers for the outputs that outlive the script."""

    def __init__(self, script: Any) -> None:
        self.script = script
        self.outputs: dict[str, Output] = {}
        self.transactions = Transactions(script.rules)
        self.has_unread = False
        self.results: list[tuple[int, Effects, set[str]]] = []  # bare SELECTs and what they read

    def take(self, number: int, effect: Effects, inputs: set[str]) -> None:
        """Add one statement, before the script has applied it."""
        transaction = self.transactions.of(effect)
        self.has_unread = self.has_unread or effect.is_unread
        if effect.result is not None:
            self.results.append((number, effect, inputs))
        if effect.writes or effect.drops or effect.renames or effect.swaps:
            for load in load_of(self.script, effect, inputs):
                take(self.outputs.setdefault(load.target, Output()), load, number, transaction)
            move(self.outputs, effect, number, transaction)

    def answer(self, statements: list[Statement], config: dict[str, Any]) -> Practices:
        kept = {record.write.target for record in self.script.records}
        judged = {name: output for name, output in self.outputs.items() if name in kept}
        if config and not kept and self.results:
            judged[""] = by_config(self.script, config, *self.results[-1])
        if not judged:
            return NO_PRACTICES
        return Judgement(self.script, statements, self.has_unread).of(judged)


class Transactions:
    """Which transaction a statement runs in: None is one of its own."""

    def __init__(self, rules: Any) -> None:
        self.rules = rules
        self.count = 0
        self.current: int | None = None

    def of(self, effect: Effects) -> int | None:
        if effect.kind in ("BEGIN", "START", "TRANSACTION"):
            self.count += 1
            self.current = self.count
        elif effect.kind in ("COMMIT", "END", "ROLLBACK"):
            self.current = None
        elif self.current is not None and self.commits(effect):
            self.count += 1
            self.current = self.count  # what follows is another transaction
            return None
        return effect.body if effect.body is not None and self.current is None else self.current

    def commits(self, effect: Effects) -> bool:
        """The statement ends the transaction it stands in, by the dialect's rules."""
        if effect.kind == "TRUNCATE":
            return self.rules.truncate_commits is not False
        is_ddl = effect.kind in ("CREATE", "DROP", "ALTER") and not any(write.is_temporary for write in effect.writes)
        return is_ddl and self.rules.ddl_commits is not False


def take(output: Output, load: Load, number: int, transaction: int | None) -> None:
    """Add one load to what is known of its target."""
    if load.kind != "define" or load.replaces:
        output.visible.append((number, transaction))
    TAKERS[load.kind](output, load, number)
    for note in load.notes if load.kind != "define" else ():
        output.notes[note] = output.notes.get(note, False) or load.partition_by_value
        output.say(BACKFILL if note == "clock_rows" else IDEMPOTENT, NOTES[note], number)


NOTES = {
    "clock_rows": "the rows that are read move with the clock",
    "clock_value": "the time of the run is part of the output",
    "random": "chance is part of the output: uuid or random",
    "limit": "LIMIT, DISTINCT ON or a row number without ORDER BY, or ANY_VALUE: which rows are taken is open",
}


def take_empty(output: Output, load: Load, number: int) -> None:
    """DROP and TRUNCATE: what was loaded before is gone."""
    output.is_fresh, output.is_made_again, output.deleted, output.loads = True, True, None, []
    output.say(STRATEGY, load.message, number)


def take_definition(output: Output, load: Load, number: int) -> None:
    """Also a plain CREATE TABLE means that the table is new; what comes after it tells whether it can run again."""
    if load.replaces:
        output.is_fresh, output.is_made_again, output.loads = True, True, []
    elif load.is_new and not output.is_fresh and not output.loads:
        output.is_fresh, output.is_made_again = True, None


def take_whole(output: Output, load: Load, number: int) -> None:
    """CREATE … AS, INSERT OVERWRITE, MERGE, UPDATE: judged by themselves, unless the table is new in each run."""
    if load.strategy == FULL_REFRESH and (load.replaces or output.is_fresh):
        sure = load.idempotent if load.replaces else True
        output.loads = [(FULL_REFRESH, sure, load.backfill)]
    elif load.replaces and output.loads and not output.is_fresh:  # rewritten from what was put in just before, too
        output.loads = [(load.strategy, False if load.idempotent is False else None, load.backfill)]
    elif not output.is_fresh:
        output.loads.append((load.strategy, load.idempotent, load.backfill))
    output.is_fresh = output.is_fresh or load.strategy == FULL_REFRESH
    output.atomic = worst(output.atomic, load.atomic)
    output.say(STRATEGY if load.idempotent else IDEMPOTENT, load.message, number)
    output.say(BACKFILL, load.doubt, number)


def take_delete(output: Output, load: Load, number: int) -> None:
    if load.is_whole:
        take_empty(output, load, number)
        return
    output.deleted = load
    if not output.is_fresh:
        output.loads.append((UNKNOWN, True, None if not output.loads else True))


def take_insert(output: Output, load: Load, number: int) -> None:
    """An INSERT alone adds rows on every run; what was deleted before it decides."""
    if output.is_fresh:
        output.loads.append((FULL_REFRESH, output.is_made_again, True))
        again = "the table is emptied and filled anew"
        output.say(STRATEGY, again if output.is_made_again else "the table is made and filled", number)
    elif output.deleted is not None and (fills := load.fills(output.deleted)) is None:
        output.loads.append((INCREMENTAL, None, None))
        output.say(IDEMPOTENT, "whether what is inserted is the slice that was deleted cannot be told", number)
    elif output.deleted is not None and fills:
        output.loads = [judged for judged in output.loads if judged[0] != UNKNOWN]
        hangs_on_data = any("(select" in value for *_, value in output.deleted.slice)
        output.loads.append((INCREMENTAL, True, None if hangs_on_data else True))
        output.say(STRATEGY, "the slice that was deleted is inserted again", number)
    else:
        output.loads.append((load.strategy, load.idempotent, load.backfill))
        output.say(IDEMPOTENT, load.message, number)


TAKERS = {
    "drop": take_empty,
    "empty": take_empty,
    "define": take_definition,
    "delete": take_delete,
    "insert": take_insert,
    "copy": take_insert,
    "whole": take_whole,
}


def settled(output: Output) -> Judged:
    """The worst of the loads, and what clock, chance and an open LIMIT make of it."""
    strategies = [strategy for strategy, _, _ in output.loads if strategy != UNKNOWN]
    strategy = min(strategies, key=WORST_FIRST.index) if strategies else UNKNOWN
    idempotent = worst_of(one for _, one, _ in output.loads) if output.loads else None
    backfill = worst_of(one for _, _, one in output.loads) if output.loads else None
    for note, names_partition in output.notes.items() if output.loads else ():
        idempotent = worst(idempotent, None) if note == "limit" else False
        moves = note == "clock_rows" or (note == "clock_value" and names_partition)
        backfill = False if moves else worst(backfill, None)
    return strategy, idempotent, backfill


def worst(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def move(outputs: dict[str, Output], effect: Effects, number: int, transaction: int | None) -> None:
    """A rename shows at once what was loaded aside; a swap, both ways."""
    for old, new in effect.renames:
        moved, before = outputs.pop(old, None), outputs.get(new)
        if moved is not None:
            moved.visible = [*(before.visible if before else ()), (number, transaction)]
            moved.atomic = True
            # The name it was built under is free again for the next run.
            moved.loads = [(kind, True if kind == FULL_REFRESH else sure, back) for kind, sure, back in moved.loads]
            outputs[new] = moved
    for one, other in effect.swaps:
        first, second = outputs.pop(one, None), outputs.pop(other, None)
        for name, output in ((one, second), (other, first)):
            if output is not None:
                output.visible, output.atomic = [(number, transaction)], True
                outputs[name] = output


# --- what a config says of a bare SELECT


def by_config(script: Any, config: dict[str, Any], number: int, effect: Effects, inputs: set[str]) -> Output:
    if not config.get("write_disposition"):
        return by_dbt(config, number, effect)
    output = Output()
    load = job_load(script, config, effect, inputs)
    load.notes = effect.notes
    take(output, load, number, None)
    return output


def by_dbt(config: dict[str, Any], number: int, effect: Effects) -> Output:
    """A model's SELECT is loaded as its config says: https://docs.getdbt.com/docs/build/incremental-strategy"""
    output = Output(atomic=None)
    kind = str(config.get("materialized") or "")
    if kind in ("table", "view", "materialized_view"):
        output.loads.append((FULL_REFRESH, True, True))
        output.say(STRATEGY, f"dbt builds the {kind} anew", number)
    elif kind == "incremental":
        judged, message = incremental(str(config.get("incremental_strategy") or ""), bool(config.get("unique_key")))
        output.loads.append(judged)
        output.say(STRATEGY if judged[1] else IDEMPOTENT, message, number)
    elif kind == "snapshot":
        output.loads.append((INCREMENTAL, None, False))
        output.say(BACKFILL, "a dbt snapshot adds what changed since the last run", number)
    if kind != "view":
        output.notes = dict.fromkeys(effect.notes, False)
        for note in effect.notes:
            output.say(IDEMPOTENT, NOTES[note], number)
    return output


def incremental(strategy: str, has_key: bool) -> tuple[Judged, str]:
    if strategy in ("insert_overwrite", "microbatch"):
        return (INCREMENTAL, True, True), "dbt replaces whole partitions"
    if strategy == "append" or not has_key:
        return (APPEND, False, False), "dbt adds the rows again on every run, since no key tells them apart"
    kind = INCREMENTAL if strategy == "delete+insert" else MERGE
    return (kind, True, True), "dbt replaces the rows of the same unique_key"


# --- the answer


class Judgement:
    """Puts the outputs' states in words."""

    def __init__(self, script: Any, statements: list[Statement], has_unread: bool) -> None:
        self.script = script
        self.statements = statements
        self.has_unread = has_unread

    def of(self, outputs: dict[str, Output]) -> Practices:
        by_output = {name: self.judged(output) for name, output in sorted(outputs.items())}
        each = list(by_output.values())
        overall = (
            each[0]
            if len(each) == 1
            else OutputPractices(
                min((one.load_strategy for one in each), key=WORST_FIRST.index),
                worst_of(one.idempotent for one in each),
                worst_of(one.atomic for one in each),
                worst_of(one.backfill_safe for one in each),
            )
        )
        found = dict.fromkeys(reason for output in outputs.values() for reason in self.reasons(output))
        return Practices(overall, by_output, tuple(found))

    def judged(self, output: Output) -> OutputPractices:
        atomic = self.is_atomic(output)
        strategy, idempotent, backfill = settled(output)
        if self.has_unread:
            idempotent, atomic, backfill = worst(idempotent, None), worst(atomic, None), worst(backfill, None)
        return OutputPractices(strategy, idempotent, atomic, backfill)

    def is_atomic(self, output: Output) -> bool | None:
        """One statement, or several in one transaction."""
        if len(output.visible) < 2:
            return output.atomic if output.visible else None
        transactions = {transaction for _, transaction in output.visible}
        return output.atomic if len(transactions) == 1 and None not in transactions else False

    def reasons(self, output: Output) -> list[PracticeReason]:
        found = [self.reason(*reason) for reason in output.reasons]
        if self.is_atomic(output) is False:
            number = output.visible[-1][0]
            found.append(self.reason(ATOMIC, "several statements change the table outside one transaction", number))
        elif output.atomic is None and output.visible:
            found.append(
                self.reason(
                    ATOMIC, "whether the overwrite is atomic depends on the table's format", output.visible[-1][0]
                )
            )
        if self.has_unread:
            found.append(PracticeReason(IDEMPOTENT, "a part of the script could not be read", None, None))
        return found

    def reason(self, practice: str, message: str, number: int) -> PracticeReason:
        return PracticeReason(practice, message, number, self.script.line_at(self.statements[number].start))


def worst_of(values: Any) -> bool | None:
    result: bool | None = True
    for value in values:
        result = worst(result, value)
    return result
