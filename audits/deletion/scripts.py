"""The SQL that people run: quarantine by rename or revoke, keep the data and drop, and the way back of each. Pure text.

Every name is a quoted identifier out of sqlglot's own printer, never CASCADE. Each script says on what evidence it
stands, refuses to run after its expiry, and looks at the engine's own record of reads before each statement, where
the engine keeps one. The way back has no expiry.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from catalog import table_names
from catalog.table_names import parts_of

SUPPORTED = ("duckdb", "postgres", "mysql", "bigquery", "snowflake", "redshift", "databricks", "spark", "trino")
VALID_DAYS = 7  # of a script
KEPT_DAYS = 90  # of the data after the drop
_LONGEST_NAME = 60  # PostgreSQL cuts at 63 bytes, MySQL at 64
_TABLES, _VIEWS = ("table",), ("view",)
_TAG = "$pipekeeper$"


class NoScript(ValueError):
    """No script can be written for this table, said in words."""


@dataclass(frozen=True)
class Grant:
    """A right on a table, or on one column of it. `grantee` is a role, or user@host in MySQL; empty for everybody."""

    privilege: str
    grantee: str
    column: str = ""
    grantable: bool = False


@dataclass(frozen=True)
class Target:
    """A table that goes. Names are dotted, as in the catalog; `definition` is the SQL that makes a view.

    In quarantine by revoke it keeps its name, so `quarantine_name` is the same, and `grants` are what is taken away.
    """

    name: str
    quarantine_name: str
    kept_name: str
    kind: str = "table"
    definition: str = ""
    description: str = ""
    evidence: Sequence[str] = ()
    grants: Sequence[Grant] = ()

    @property
    def keeps_its_name(self) -> bool:
        return self.quarantine_name == self.name


@dataclass(frozen=True)
class Stop:
    """A pipeline to be stopped, or trimmed of some outputs, before any table goes."""

    pipeline: str
    how: str
    outputs: Sequence[str] = ()  # empty: all of it


@dataclass(frozen=True)
class Order:
    """What is asked for: the tables in the order in which they go, what to stop first, and from when to when."""

    review: int
    dialect: str
    targets: Sequence[Target]
    stops: Sequence[Stop]
    written_at: dt.datetime
    evidence_until: dt.date

    @property
    def expires_at(self) -> dt.datetime:
        return self.written_at + dt.timedelta(days=VALID_DAYS)


@dataclass(frozen=True)
class Script:
    """Text to run forward, and text that takes it back."""

    forward: str
    back: str
    notes: Sequence[str] = field(default=())


def can_script(dialect: str, kind: str) -> bool:
    """Whether quarantine and drop can be written down for such a table. BigQuery renames no view."""
    return dialect in SUPPORTED and kind in (*_TABLES, *_VIEWS) and (dialect, kind) != ("bigquery", "view")


def is_reversible(dialect: str, target: Target) -> bool:
    """Whether the drop can be taken back: a table's data is kept, a view is made again by its SQL."""
    if not can_script(dialect, target.kind):
        return False
    return bool(target.definition) if target.kind in _VIEWS else True


def quarantine_script(order: Order) -> Script:
    """Stop the builders, then hide each table, so that whoever needs one finds out while nothing is lost."""
    promise = "It only takes rights away." if any(target.grants for target in order.targets) else "It only renames."
    forward, back = [_head(order, "Quarantine", promise)], [_back_head(order, "the quarantine")]
    for number, target in enumerate(order.targets, 1):
        becomes = "is granted to nobody" if target.keeps_its_name else f"becomes {last_part(target.quarantine_name)}"
        forward.append(_section(f"{number}. {target.name} {becomes}", target.evidence))
        forward += [*_guard(order, target.name), *_hide(order.dialect, target)]
    for target in reversed(order.targets):
        back += _show(order.dialect, target)
    notes = [_HOLDS_NOT] if any(each.keeps_its_name for each in order.targets) else []
    renames = any(not each.keeps_its_name for each in order.targets) and order.dialect in _RENAME_COSTS
    return Script(_joined(forward), _joined(back), [*notes, _RENAME_COSTS[order.dialect]] if renames else notes)


def _hide(dialect: str, target: Target) -> list[str]:
    if target.keeps_its_name:
        return revoke(dialect, target.name, target.grants)
    return [rename(dialect, target.name, target.quarantine_name, target.kind)]


def _show(dialect: str, target: Target) -> list[str]:
    if target.keeps_its_name:
        return [give(dialect, target.name, grant) for grant in target.grants]
    return [rename(dialect, target.quarantine_name, target.name, target.kind)]


def delete_script(order: Order) -> Script:
    """Keep each table's data aside, then drop it; back, what was kept takes the table's own name again."""
    forward, back = [_head(order, "Deletion", _KEEPS)], [_back_head(order, "the deletion")]
    for number, target in enumerate(order.targets, 1):
        forward.append(_section(f"{number}. {target.name}", target.evidence))
        forward += _keep_and_drop(order, target)
    for target in reversed(order.targets):
        back += _restore(order.dialect, target)
    return Script(_joined(forward), _joined(back), _not_kept(order))


def forget_script(order: Order) -> str:
    """Drop what was kept, once the time to take the deletion back is over."""
    tables = [target for target in order.targets if target.kind in _TABLES]
    if order.dialect == "bigquery" or not tables:
        return ""
    day = (order.written_at + dt.timedelta(days=KEPT_DAYS)).date()
    head = f"-- Deletion review {order.review}: run this on {day} or later. After it there is no way back."
    return _joined([head, *(drop(order.dialect, target.kept_name) for target in tables)])


# Names


def last_part(name: str) -> str:
    """The table's own name."""
    return parts_of(name)[-1]


def beside(name: str, suffix: str) -> str:
    """A name in the same schema, with the suffix: `a.b` and `__quarantine` are `a.b__quarantine`."""
    *before, own = parts_of(name)
    new = own[: _LONGEST_NAME - len(suffix)] + suffix
    return ".".join(f'"{part}"' if "." in part else part for part in (*before, new))


def identifier(dialect: str, name: str) -> exp.Table:
    """A dotted name as quoted identifiers. NoScript where it has more parts than the dialect takes."""
    if _TAG in name:
        raise NoScript(f"{name!r} holds characters that no script should carry.")
    try:
        return table_names.identifier(dialect, name)
    except ValueError as error:
        raise NoScript(str(error)) from error


def quoted(dialect: str, name: str) -> str:
    """The same as text."""
    return identifier(dialect, name).sql(dialect=dialect)


# Statements


def rename(dialect: str, old: str, new: str, kind: str = "table") -> str:
    """One statement that gives a table or view another name in the same schema."""
    if dialect == "mysql":  # ALTER TABLE renames no view there
        return f"RENAME TABLE {quoted(dialect, old)} TO {quoted(dialect, new)};"
    if dialect == "redshift":  # it renames views so too, and knows no ALTER VIEW … RENAME
        kind = "table"
    action = exp.AlterRename(this=identifier(dialect, new))
    statement = exp.Alter(this=identifier(dialect, old), kind=kind.upper(), actions=[action])
    return statement.sql(dialect=dialect) + ";"


def drop(dialect: str, name: str, kind: str = "table") -> str:
    """One statement; what depends on the table makes it fail, as far as the engine knows of it.

    Snowflake drops foreign keys that refer to a table along with it unless told RESTRICT
    (docs.snowflake.com/sql-reference/constraints-drop); elsewhere that is the default. Views stop nothing there, nor in
    BigQuery, Databricks, Spark, Trino and MySQL.
    """
    restrict = dialect == "snowflake" and kind == "table"
    tree = exp.Drop(tables=[identifier(dialect, name)], kind=kind.upper(), restrict=restrict)
    return tree.sql(dialect=dialect) + ";"


def give(dialect: str, name: str, grant: Grant) -> str:
    """One GRANT."""
    return _grant_or_revoke(exp.Grant, dialect, name, grant, grant_option=grant.grantable)


def revoke(dialect: str, name: str, grants: Iterable[Grant]) -> list[str]:
    """REVOKEs, never CASCADE. In MySQL the right to grant is one of its own, beside which may be none, called USAGE."""
    options, rights = [], list(grants)
    if dialect == "mysql":
        may_grant = dict.fromkeys(grant.grantee for grant in rights if grant.grantable)
        options = [Grant("GRANT OPTION", grantee) for grantee in may_grant]
        rights = [grant for grant in rights if grant.privilege != "USAGE"]
    return [_grant_or_revoke(exp.Revoke, dialect, name, grant) for grant in (*options, *rights)]


def _grant_or_revoke(kind: type[exp.Grant | exp.Revoke], dialect: str, name: str, grant: Grant, **options: bool) -> str:
    if not _PRIVILEGE.fullmatch(grant.privilege):
        raise NoScript(f"{grant.privilege!r} on {name} is no right that a script should name.")
    columns = [exp.to_identifier(grant.column, quoted=True)] if grant.column else []
    statement = kind(
        privileges=[exp.GrantPrivilege(this=exp.Var(this=grant.privilege), expressions=columns)],
        kind="TABLE",
        securable=identifier(dialect, name),
        principals=[exp.GrantPrincipal(this=_principal(dialect, grant.grantee))],
        **options,
    )
    return statement.sql(dialect=dialect) + ";"


_PRIVILEGE = re.compile(r"[A-Z]+(?: [A-Z]+)*")


def _principal(dialect: str, grantee: str) -> exp.Expression:
    """A role; in MySQL `user`@`host`, which sqlglot knows no node for, or a role, which has no host."""
    if not grantee:
        return exp.Var(this="PUBLIC")
    if any(part in grantee for part in (_TAG, "\x00", "\n")):
        raise NoScript(f"{grantee!r} holds characters that no script should carry.")
    user, at, host = grantee.rpartition("@") if dialect == "mysql" else (grantee, "", "")
    names = [exp.to_identifier(part, quoted=True).sql(dialect=dialect) for part in (user or grantee, host) if part]
    return exp.Var(this="@".join(names))


def copy(dialect: str, name: str, new: str) -> str:
    """One statement that makes a new table of all the rows."""
    rows = exp.select("*").from_(identifier(dialect, name))
    return exp.Create(this=identifier(dialect, new), kind="TABLE", expression=rows).sql(dialect=dialect) + ";"


def text(dialect: str, value: str) -> str:
    """A string literal, quotes escaped as the dialect does, without backslashes, which dialects read differently."""
    return exp.Literal.string(value.replace("\\", "/")).sql(dialect=dialect)


# Keep, drop, restore


def _keep_and_drop(order: Order, target: Target) -> list[str]:
    dialect, hidden, kept = order.dialect, target.quarantine_name, target.kept_name
    # What MySQL counts goes by name: only a new one begins with nothing.
    guard = _guard(order, hidden, known_reads="" if target.keeps_its_name else "0")
    if target.kind in _VIEWS:
        return [*guard, drop(dialect, hidden, "view")]
    if dialect == "postgres":
        copied = _postgres_copy(hidden, kept)
        return ["BEGIN;", _NO_ROW_HIDDEN, _lock(hidden), *guard, *copied, drop(dialect, hidden), "COMMIT;"]
    keep = _KEEP.get(dialect, _copied)
    return [*guard, *keep(order, target), *_guard(order, hidden, known_reads="@reads_with_copy"), drop(dialect, hidden)]


def _copied(order: Order, target: Target) -> list[str]:
    return [copy(order.dialect, target.quarantine_name, target.kept_name), *_comment_on_kept(order, target)]


def _comment_on_kept(order: Order, target: Target) -> list[str]:
    """The comment, where copies lack it; not in Trino, where a connector without comments would end the script."""
    if not target.description or order.dialect == "trino":
        return []
    kept, comment = quoted(order.dialect, target.kept_name), text(order.dialect, target.description)
    return [f"COMMENT ON TABLE {kept} IS {comment};"]


def _databricks_clone(order: Order, target: Target) -> list[str]:
    """Rows, schema, partitions and properties. A clone has no description, tags, history or grants of its source
    (docs.databricks.com/delta/clone), and belongs to who made it."""
    hidden, kept = quoted("databricks", target.quarantine_name), quoted("databricks", target.kept_name)
    return [f"CREATE TABLE {kept} DEEP CLONE {hidden};", *_comment_on_kept(order, target)]


def _redshift_copy(order: Order, target: Target) -> list[str]:
    """LIKE takes defaults, distribution and sort keys along, which CREATE TABLE AS does not
    (docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html and r_CTAS_usage_notes.html)."""
    hidden, kept = quoted("redshift", target.quarantine_name), quoted("redshift", target.kept_name)
    return [
        f"CREATE TABLE {kept} (LIKE {hidden} INCLUDING DEFAULTS);",
        f"INSERT INTO {kept} SELECT * FROM {hidden};",
        *_comment_on_kept(order, target),
    ]


def _mysql_copy(order: Order, target: Target) -> list[str]:
    """Fails on columns that `*` leaves out. Without the mode, a 0 in an AUTO_INCREMENT column becomes a new number
    (dev.mysql.com/doc/refman/8.0/en/sql-mode.html, …/invisible-columns.html)."""
    hidden, kept = quoted("mysql", target.quarantine_name), quoted("mysql", target.kept_name)
    schema, table = _mysql_place(target.quarantine_name)
    invisible = (
        f"(SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {table} "
        "AND EXTRA LIKE '%INVISIBLE%')"
    )
    return [
        f"SELECT IF({invisible} > 0, {_MYSQL_FAILS}, 'ok') AS guard_all_columns;",
        f"CREATE TABLE {kept} LIKE {hidden};",
        "SET @mode_before = @@sql_mode;",
        "SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO');",
        f"INSERT INTO {kept} SELECT * FROM {hidden};",
        "SET sql_mode = @mode_before;",
        f"SET @reads_with_copy = {_mysql_reads(target.quarantine_name)};",
    ]


def _bigquery_snapshot(order: Order, target: Target) -> list[str]:
    """One that ends by itself, for which who runs it must be allowed to delete snapshots
    (cloud.google.com/bigquery/docs/table-snapshots-create). Time travel alone would end after seven days."""
    hidden, kept = quoted("bigquery", target.quarantine_name), quoted("bigquery", target.kept_name)
    until = (order.written_at + dt.timedelta(days=KEPT_DAYS)).strftime("%Y-%m-%d %H:%M:%S+00")
    options = f"OPTIONS (expiration_timestamp = TIMESTAMP '{until}')"
    return [f"CREATE SNAPSHOT TABLE {kept} CLONE {hidden} {options};"]


def _snowflake_clone(order: Order, target: Target) -> list[str]:
    """All rights but ownership come along (docs.snowflake.com/user-guide/object-clone)."""
    hidden, kept = quoted("snowflake", target.quarantine_name), quoted("snowflake", target.kept_name)
    return [f"CREATE TABLE {kept} CLONE {hidden} COPY GRANTS;"]


_KEEP = {
    "mysql": _mysql_copy,
    "bigquery": _bigquery_snapshot,
    "snowflake": _snowflake_clone,
    "databricks": _databricks_clone,
    "redshift": _redshift_copy,
}

_NO_ROW_HIDDEN = "SET LOCAL row_security = off;  -- fail rather than copy only the rows that a policy shows"


def _lock(name: str) -> str:
    return f"LOCK TABLE {quoted('postgres', name)} IN ACCESS EXCLUSIVE MODE;  -- from here on nobody else can read it"


def _postgres_copy(name: str, kept: str) -> list[str]:
    """Column types, defaults, indexes and comments; rows; then owner, grants, and the sequences that number rows.

    LIKE makes new sequences for identity columns, which must go on where the old ones are, and a generated column takes
    no value (postgresql.org/docs/current/sql-createtable.html).
    """
    old, new = quoted("postgres", name), quoted("postgres", kept)
    return [
        f"CREATE TABLE {new} (LIKE {old} INCLUDING ALL);",
        f"""DO {_TAG}
DECLARE
  old_table regclass := {text("postgres", old)};
  new_table regclass := {text("postgres", new)};
  row record;
BEGIN
  EXECUTE (SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s',
      new_table, string_agg(quote_ident(attname), ', '), string_agg(quote_ident(attname), ', '), old_table)
    FROM pg_attribute WHERE attrelid = old_table AND attnum > 0 AND NOT attisdropped AND attgenerated = '');
  FOR row IN SELECT attname FROM pg_attribute WHERE attrelid = old_table AND attnum > 0 AND attidentity <> ''
  LOOP
    PERFORM setval(pg_get_serial_sequence(new_table::text, row.attname),
      nextval(pg_get_serial_sequence(old_table::text, row.attname)), false);
  END LOOP;
  EXECUTE format('COMMENT ON TABLE %s IS %L', new_table, obj_description(old_table, 'pg_class'));
  FOR row IN SELECT grants.grantee, grants.privilege_type, grants.is_grantable, role.rolname
    FROM pg_class, aclexplode(relacl) AS grants LEFT JOIN pg_roles AS role ON role.oid = grants.grantee
    WHERE pg_class.oid = old_table
  LOOP
    EXECUTE format('GRANT %s ON %s TO %s%s', row.privilege_type, new_table,
      CASE WHEN row.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(row.rolname) END,
      CASE WHEN row.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
  FOR row IN SELECT pg_class.oid::regclass AS sequence, attname
    FROM pg_depend JOIN pg_class ON pg_class.oid = objid
    JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    WHERE refobjid = old_table AND classid = 'pg_class'::regclass AND deptype = 'a' AND relkind = 'S'
  LOOP
    EXECUTE format('ALTER SEQUENCE %s OWNED BY %s.%I', row.sequence, new_table, row.attname);
  END LOOP;
  EXECUTE (SELECT format('ALTER TABLE %s OWNER TO %I', new_table, pg_get_userbyid(relowner))
    FROM pg_class WHERE oid = old_table);
END {_TAG};""",
    ]


def _restore(dialect: str, target: Target) -> list[str]:
    grants = [give(dialect, target.name, grant) for grant in target.grants]
    if target.kind in _VIEWS:
        return [target.definition.rstrip().rstrip(";") + ";", *grants]
    if dialect == "bigquery":
        return [f"CREATE TABLE {quoted(dialect, target.name)} CLONE {quoted(dialect, target.kept_name)};", *grants]
    return [rename(dialect, target.kept_name, target.name), *grants]


# Guards


def _guard(order: Order, name: str, known_reads: str = "") -> list[str]:
    """Statements that fail, and so end the script, when it is too old or the engine knows of a later read.

    `known_reads` is for engines that only count: how many there may be.
    """
    until = order.expires_at.strftime("%Y-%m-%d %H:%M:%S")
    since = order.written_at.strftime("%Y-%m-%d %H:%M:%S")
    ran_out = text(
        order.dialect, f"This script ran out on {until} UTC: write a new one in deletion review {order.review}"
    )
    match order.dialect:
        case "duckdb":
            return [f"SELECT CASE WHEN now() > TIMESTAMPTZ '{until}+00' THEN error({ran_out}) END AS guard;"]
        case "postgres":
            return [_postgres_guard(order, name, until, since)]
        case "mysql":
            return _mysql_guard(name, until, known_reads)
        case "bigquery":
            return [_bigquery_guard(order, name, until, since)]
        case "snowflake":
            return [_snowflake_guard(order, name, until, since)]
        case "databricks" | "spark":  # without ANSI mode a division by zero is NULL there
            is_old = f"CURRENT_TIMESTAMP() > TIMESTAMP '{until}+00:00'"
            return [f"SELECT CASE WHEN {is_old} THEN RAISE_ERROR({ran_out}) END AS guard_not_expired;"]
        case "redshift":  # its time is the session's, which is UTC unless somebody set it
            return [f"SELECT 1 / CASE WHEN GETDATE() > TIMESTAMP '{until}' THEN 0 ELSE 1 END AS guard_not_expired;"]
    return [f"SELECT 1 / IF(CURRENT_TIMESTAMP > TIMESTAMP '{until} UTC', 0, 1) AS guard_not_expired;"]


def _postgres_guard(order: Order, name: str, until: str, since: str) -> str:
    """PostgreSQL 16 and newer know when a table was last scanned; older ones only whether it is old enough to run."""
    table = text("postgres", quoted("postgres", name))
    return f"""DO {_TAG}
DECLARE
  read_at timestamptz;
BEGIN
  IF now() > TIMESTAMPTZ '{until}+00' THEN
    RAISE EXCEPTION 'This script ran out on {until} UTC: write a new one in deletion review {order.review}';
  END IF;
  IF EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = 'pg_stat_user_tables'::regclass AND attname = 'last_seq_scan') THEN
    EXECUTE 'SELECT greatest(last_seq_scan, last_idx_scan) FROM pg_stat_user_tables WHERE relid = $1'
      INTO read_at USING {table}::regclass::oid;
    IF read_at > TIMESTAMPTZ '{since}+00' THEN
      RAISE EXCEPTION '% was read at %, after this script of deletion review {order.review}', {table}, read_at;
    END IF;
  END IF;
END {_TAG};"""


def _mysql_guard(name: str, until: str, known_reads: str) -> list[str]:
    guards = [f"SELECT IF(UTC_TIMESTAMP() > '{until}', {_MYSQL_FAILS}, 'ok') AS guard_not_expired;"]
    if known_reads:
        guards.append(f"SELECT IF({_mysql_reads(name)} > {known_reads}, {_MYSQL_FAILS}, 'ok') AS guard_not_read;")
    return guards


# A sub-query of two rows where one is wanted is MySQL's only way to fail outside a procedure.
_MYSQL_FAILS = "(SELECT 1 UNION SELECT 2)"


def _mysql_reads(name: str) -> str:
    """How often rows of the table were fetched since it has this name, as far as the server counts."""
    schema, table = _mysql_place(name)
    counts = "performance_schema.table_io_waits_summary_by_table"
    where = f"OBJECT_SCHEMA = {schema} AND OBJECT_NAME = {table}"
    return f"(SELECT COALESCE(SUM(COUNT_FETCH), 0) FROM {counts} WHERE {where})"


def _mysql_place(name: str) -> tuple[str, str]:
    """Database and table as SQL."""
    *database, table = parts_of(name)[-2:]
    return text("mysql", database[0]) if database else "DATABASE()", text("mysql", table)


def _bigquery_guard(order: Order, name: str, until: str, since: str) -> str:
    """Needs the right to list jobs; set the region in the text where it is not US.

    Any job that names the table counts, also one that writes or copies what it reads, but for statements such as this
    script's own. Jobs of other projects are not seen, nor answers out of the cache
    (cloud.google.com/bigquery/docs/information-schema-jobs). A table keeps the time of its creation when it is renamed
    and may be deleted at once where its dataset lets tables expire (…/managing-tables), so such datasets are refused.
    """
    *project, dataset, table = ["", *parts_of(name)][-3:]
    options = quoted("bigquery", ".".join([*filter(None, project), "region-us", "INFORMATION_SCHEMA"]))
    dataset, table = text("bigquery", dataset), text("bigquery", table)
    return f"""BEGIN
  DECLARE reads INT64;
  IF CURRENT_TIMESTAMP() > TIMESTAMP '{until}+00' THEN
    RAISE USING MESSAGE = 'This script ran out: write a new one in deletion review {order.review}';
  END IF;
  SET reads = (SELECT COUNT(*) FROM `region-us`.INFORMATION_SCHEMA.JOBS_BY_PROJECT AS job, job.referenced_tables AS used
    WHERE used.dataset_id = {dataset} AND used.table_id = {table} AND job.error_result IS NULL
      AND job.creation_time > TIMESTAMP '{since}+00'
      AND COALESCE(job.statement_type, '') NOT IN ('SCRIPT', 'ALTER_TABLE', 'CREATE_SNAPSHOT_TABLE', 'DROP_TABLE'));
  IF reads > 0 THEN
    RAISE USING MESSAGE = 'It was read after the script of deletion review {order.review} was written';
  END IF;
  IF EXISTS (SELECT 1 FROM {options}.SCHEMATA_OPTIONS
    WHERE schema_name = {dataset} AND option_name = 'default_table_expiration_days') THEN
    RAISE USING MESSAGE = 'Tables of this dataset expire, renamed ones perhaps at once: set no default expiration';
  END IF;
END;"""


def _snowflake_guard(order: Order, name: str, until: str, since: str) -> str:
    """Snowflake's access history is up to three hours late, and needs the Enterprise edition."""
    full_name = text("snowflake", ".".join(parts_of(name)))
    return f"""EXECUTE IMMEDIATE $$
DECLARE
  ran_out EXCEPTION (-20001, 'This script ran out: write a new one in deletion review {order.review}');
  was_read EXCEPTION (-20002, 'It was read after the script of deletion review {order.review} was written');
  reads INTEGER;
BEGIN
  IF (CURRENT_TIMESTAMP() > '{until} +00:00'::TIMESTAMP_TZ) THEN
    RAISE ran_out;
  END IF;
  SELECT COUNT(*) INTO :reads
    FROM SNOWFLAKE.ACCOUNT_USAGE.ACCESS_HISTORY, LATERAL FLATTEN(base_objects_accessed) AS used
    WHERE used.value:objectName::STRING = {full_name} AND query_start_time > '{since} +00:00'::TIMESTAMP_TZ;
  IF (reads > 0) THEN
    RAISE was_read;
  END IF;
END;
$$;"""


# Words around


_HOLDS_NOT = (
    "Owners, superusers and accounts with rights on the whole schema or server can read the tables all the same; their "
    "reads, under the tables' own names, stop the review as any read does."
)
# What a rename takes away or cannot do, from cloud.google.com/bigquery/docs/managing-tables and
# dev.mysql.com/doc/refman/8.0/en/rename-table.html
_RENAME_COSTS = {
    "bigquery": "A rename takes catalog tags and aspects, search and vector indexes off the table, and the way back "
    "does not bring them. It fails on external tables and, for some hours, where data was streamed in.",
    "mysql": "Rights on the table itself stay with its old name, where the way back finds them.",
}
_KEEPS = f"It keeps the data aside for {KEPT_DAYS} days, then drops what lies in quarantine."


def _head(order: Order, title: str, promise: str) -> str:
    lines = [
        f"{title} for deletion review {order.review}. {promise}",
        f"Written {order.written_at:%Y-%m-%d %H:%M} UTC; refuses to run after {order.expires_at:%Y-%m-%d %H:%M} UTC.",
        f"Stands on evidence up to {order.evidence_until}. Look at the review once more before you run it.",
    ]
    if order.stops:
        lines += ["", "First stop what builds these tables, or it brings them back:"]
        lines += [f"  [ ] {_stop(stop)}" for stop in order.stops]
    return _comment(lines)


def _stop(stop: Stop) -> str:
    what = f"trim it of {', '.join(stop.outputs)}" if stop.outputs else "stop it"
    return f"{stop.pipeline}: {what}. {stop.how}"


def _back_head(order: Order, what: str) -> str:
    return _comment([f"Takes back {what} of deletion review {order.review}. It never runs out."])


def _section(title: str, evidence: Iterable[str]) -> str:
    return _comment(["", title, *(f"  {sentence}" for sentence in evidence)])


def _comment(lines: Iterable[str]) -> str:
    return "\n".join(f"-- {part}".rstrip() for line in lines for part in (line.splitlines() or [""]))


def _joined(pieces: Iterable[str]) -> str:
    return "\n".join(piece for piece in pieces if piece) + "\n"


def _not_kept(order: Order) -> list[str]:
    """What the copy lacks, per dialect, for people to judge."""
    lacks = {
        "duckdb": "The copy has rows, types and the comment; keys, defaults and indexes come back with its builder.",
        "postgres": "The copy has everything but foreign keys, triggers, row security and partitions of its own.",
        "mysql": "The copy has everything but foreign keys and triggers of its own; grants hold by name.",
        "bigquery": "The snapshot has rows, schema and description; grants on the table itself are set again by hand.",
        "snowflake": "The clone has everything but its owner and its history. A transient table has no such clone: "
        "the script then ends before the drop.",
        "redshift": "The copy has rows, types, defaults, distribution and sort keys; keys, identity columns and grants "
        "are set again by hand.",
        "databricks": "The clone has rows, schema, partitions and properties; owner, tags and grants are set again by "
        "hand. It takes Delta, Iceberg and Parquet tables alone: the script then ends before the drop.",
        "spark": "The copy has rows, types and the comment; properties and grants are set again by hand.",
        "trino": "The copy has rows and types; properties and grants are set again by hand.",
    }
    return [lacks[order.dialect]] if order.dialect in lacks else []
