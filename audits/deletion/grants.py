"""Who has been granted what on a table, as its source says now: what a quarantine by revoke takes and gives back."""

from __future__ import annotations

import re

from audits.deletion.scripts import Grant, quoted, text
from catalog.connections import OpenSource
from catalog.models import Source
from catalog.table_names import parts_of

MOST_GRANTS = 2_000  # on one table
_ACCOUNT = re.compile(r"'(.*)'@'(.*)'", re.DOTALL)


class NoGrants(ValueError):
    """Grants cannot be taken away and given back exactly, said in words."""


def can_read_grants(source: Source) -> bool:
    """Whether there is any use in asking."""
    return bool(source.connection) and source.dialect in _READERS


def read_grants(source: OpenSource, name: str) -> list[Grant]:
    """All grants on a table or view and its columns, but for what its owner has. Raises NoGrants, ConnectionProblem."""
    if source.dialect not in _READERS:
        raise NoGrants(f"Grants are read from {' and '.join(sorted(_READERS))} only. Quarantine by rename.")
    found = _READERS[source.dialect](source, name)
    if not found:
        raise NoGrants(f"Nobody but its owner was granted anything on {name}: revoking would hide it from nobody.")
    return found


def _of_postgres(source: OpenSource, name: str) -> list[Grant]:
    rows = _rows(
        source,
        f"""
        SELECT privilege_type, coalesce(role.rolname, ''), attname, is_grantable, grantor <> relowner
        FROM (
            SELECT '' AS attname, relowner, (aclexplode(relacl)).* FROM pg_class WHERE oid = {_oid(name)}
            UNION ALL
            SELECT attname, relowner, (aclexplode(attacl)).* FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE attrelid = {_oid(name)}
        ) AS acl LEFT JOIN pg_roles AS role ON role.oid = grantee
        WHERE grantee <> relowner ORDER BY 2, 3, 1""",
    )
    if any(by_another for *_, by_another in rows):
        raise NoGrants(f"Others than its owner granted rights on {name}, which the owner's REVOKE leaves as they are.")
    return [Grant(privilege, who, column, bool(grantable)) for privilege, who, column, grantable, _ in rows]


def _oid(name: str) -> str:
    return f"{text('postgres', quoted('postgres', name))}::regclass"


def _of_mysql(source: OpenSource, name: str) -> list[Grant]:
    """Rights on a whole database or server are not among them."""
    *database, table = (text("mysql", part) for part in parts_of(name)[-2:])
    place = database[0] if database else "DATABASE()"
    where = f"TABLE_SCHEMA = {place} AND TABLE_NAME = {table}"
    rows = _rows(
        source,
        f"""
        SELECT PRIVILEGE_TYPE, GRANTEE, '', IS_GRANTABLE FROM information_schema.TABLE_PRIVILEGES WHERE {where}
        UNION ALL SELECT PRIVILEGE_TYPE, GRANTEE, COLUMN_NAME, IS_GRANTABLE FROM information_schema.COLUMN_PRIVILEGES
        WHERE {where} ORDER BY 2, 3, 1""",
    )
    # The views show an account without SELECT on all of `mysql` its own grants alone, without a word.
    granted = _rows(source, f"SELECT User, Host FROM mysql.tables_priv WHERE Db = {place} AND Table_name = {table}")
    if len(granted) != len({who for _, who, *_ in rows}):
        raise NoGrants("This connection does not see everybody's grants. Give it SELECT on mysql.*")
    return [Grant(privilege, _account(who), column, grantable == "YES") for privilege, who, column, grantable in rows]


def _account(grantee: str) -> str:
    """'ann'@'%' -> ann@%"""
    found = _ACCOUNT.fullmatch(grantee)
    return f"{found[1]}@{found[2]}" if found else grantee


def _rows(source: OpenSource, sql: str) -> list[tuple]:
    answer = source.run(sql, max_rows=MOST_GRANTS)
    if answer.truncated:
        raise NoGrants(f"There are more than {MOST_GRANTS:,} grants on one table. Quarantine by rename.")
    return answer.rows


_READERS = {"postgres": _of_postgres, "mysql": _of_mysql}
