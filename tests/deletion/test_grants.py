"""Quarantine by revoke, really run: the grants that were read go, and exactly those come back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import psycopg
import pymysql
import pytest
from django.core.exceptions import ValidationError

from audits.deletion import scripts, services
from audits.deletion.grants import NoGrants, read_grants
from audits.deletion.scripts import Grant, NoScript, Order, Target
from audits.deletion.targets import delete_scripts, quarantine_scripts, target_of
from catalog.connections import open_source
from catalog.models import Source, Table
from tests.deletion.helpers import agreed
from tests.live import PASSWORD, WORKER, DuckDB, MariaDB, PostgreSQL

NOW = dt.datetime.now(dt.UTC)
ANN, BEN = f"pk odd 'ann' {WORKER}"[:32], f"pk_ben_{WORKER}"[:32]


class Granting:
    """A table `t` with a grant that may be granted on, one on a column, and one to somebody else."""

    def __init__(self, engine) -> None:
        self.engine, self.name = engine, f"{engine.schema}.t"
        self.people = [self.account(who) for who in (ANN, BEN)]
        self.drop_people()
        engine.run("CREATE TABLE t (id integer, note varchar(20))", "INSERT INTO t VALUES (1, 'x')")
        for who in self.people:
            engine.run(f"CREATE {self.kind} {who} {self.password}")
        ann, ben = self.people
        engine.run(
            *self.more,
            f"GRANT SELECT, INSERT ON t TO {ann} WITH GRANT OPTION",
            f"GRANT SELECT (id), UPDATE (note) ON t TO {ben}",
        )

    def drop_people(self) -> None:
        for who in self.people:
            self.engine.run(f"DROP {self.kind} IF EXISTS {who}")

    def drop(self) -> None:
        self.engine.run("DROP TABLE IF EXISTS t", "DROP TABLE IF EXISTS t__kept_7")
        self.drop_people()
        self.engine.drop()


class OnPostgreSQL(Granting):
    kind, password, more = "ROLE", f"LOGIN PASSWORD '{PASSWORD}'", ["GRANT SELECT ON t TO PUBLIC"]

    @staticmethod
    def account(who: str) -> str:
        return f'"{who}"'

    def may_read(self, who: str) -> bool:
        try:
            self.engine.run(f"SET ROLE {self.account(who)}", "SELECT id FROM public.t")
        except psycopg.errors.InsufficientPrivilege:
            return False
        return True

    def run(self, script: str) -> None:
        self.engine.run(script)


class OnMariaDB(Granting):
    kind, password, more = "USER", f"IDENTIFIED BY '{PASSWORD}'", []

    def __init__(self, engine) -> None:
        super().__init__(engine)
        engine.run(f"GRANT SELECT ON mysql.* TO {engine.user}@'%'")

    @staticmethod
    def account(who: str) -> str:
        return f"`{who}`@`%`"

    def may_read(self, who: str) -> bool:
        try:
            connection = pymysql.connect(
                host="127.0.0.1", user=who, password=PASSWORD, database=self.engine.database, connect_timeout=3
            )
        except pymysql.err.OperationalError:
            return False
        try:
            with connection, connection.cursor() as cursor:
                return cursor.execute("SELECT id FROM t") == 1
        except pymysql.err.OperationalError:
            return False

    def run(self, script: str) -> None:
        self.engine.run(*(statement for statement in script.split(";\n") if statement.strip()))


@pytest.fixture(params=[(PostgreSQL, OnPostgreSQL), (MariaDB, OnMariaDB)], ids=["PostgreSQL", "MariaDB"])
def granting(request, tmp_path, monkeypatch) -> Iterator[Granting]:
    make, grant = request.param
    engine = make(tmp_path, "pk_grants")
    monkeypatch.setenv("SHOP_URL", engine.address)
    granting = grant(engine)
    yield granting
    granting.drop()


def grants_of(granting: Granting) -> list[Grant]:
    with open_source(Source(slug="shop", name="Shop", connection="SHOP_URL")) as source:
        return read_grants(source, granting.name)


def order(granting: Granting, grants: list[Grant]) -> Order:
    target = Target(granting.name, granting.name, scripts.beside(granting.name, "__kept_7"), grants=grants)
    return Order(7, granting.engine.dialect, [target], [], written_at=NOW, evidence_until=NOW.date())


def test_rights_go_and_exactly_those_come_back(granting) -> None:
    before = grants_of(granting)
    asked = order(granting, before)
    assert {(each.column, each.grantable) for each in before} == {("", True), ("id", False), ("note", False)} | (
        {("", False)} if granting.more else set()
    )
    assert granting.may_read(ANN) and granting.may_read(BEN)
    granting.run(scripts.quarantine_script(asked).forward)
    assert not granting.may_read(ANN) and not granting.may_read(BEN)
    with pytest.raises(NoGrants, match="Nobody"):
        grants_of(granting)
    granting.run(scripts.quarantine_script(asked).back)
    assert grants_of(granting) == before
    assert granting.may_read(ANN) and granting.may_read(BEN)


def test_the_right_to_grant_alone_goes_and_comes_back_on_mariadb(tmp_path, monkeypatch) -> None:
    engine = MariaDB(tmp_path, "pk_grants")
    monkeypatch.setenv("SHOP_URL", engine.address)
    granting = OnMariaDB(engine)
    engine.run(f"REVOKE SELECT, INSERT ON t FROM {granting.people[0]}")
    before = grants_of(granting)
    assert Grant("USAGE", f"{ANN}@%", grantable=True) in before
    granting.run(scripts.quarantine_script(order(granting, before)).forward)
    granting.run(scripts.quarantine_script(order(granting, before)).back)
    assert grants_of(granting) == before
    granting.drop()


def test_the_deletion_brings_rows_and_rights_back(granting) -> None:
    before = grants_of(granting)
    asked = order(granting, before)
    granting.run(scripts.quarantine_script(asked).forward)
    granting.run(scripts.delete_script(asked).forward)
    granting.run(scripts.delete_script(asked).back)
    assert grants_of(granting) == before
    assert granting.engine.run("SELECT id, note FROM t") == [(1, "x")]


def test_grants_that_the_owner_cannot_revoke_are_refused(tmp_path, monkeypatch) -> None:
    engine = PostgreSQL(tmp_path, "pk_grants")
    monkeypatch.setenv("SHOP_URL", engine.address)
    granting = OnPostgreSQL(engine)
    engine.run(f'SET ROLE "{ANN}"', f'GRANT SELECT ON t TO "{BEN}"')
    with pytest.raises(NoGrants, match="Others than its owner"):
        grants_of(granting)
    granting.drop()


def test_a_connection_that_does_not_see_all_grants_is_refused(tmp_path, monkeypatch) -> None:
    engine = MariaDB(tmp_path, "pk_grants")
    monkeypatch.setenv("SHOP_URL", engine.address)
    granting = OnMariaDB(engine)
    engine.run(f"REVOKE SELECT ON mysql.* FROM {engine.user}@'%'")
    engine.run(f"GRANT SELECT ON mysql.tables_priv TO {engine.user}@'%'")
    with pytest.raises(NoGrants, match=r"SELECT on mysql\.\*"):
        grants_of(granting)
    granting.drop()


@pytest.mark.django_db
def test_a_steward_chooses_and_takes_the_choice_back(
    tmp_path, monkeypatch, review, warehouse, jo, steward, editor
) -> None:
    engine = PostgreSQL(tmp_path, "pk_grants")
    engine.run(
        "CREATE SCHEMA shop; CREATE TABLE shop.first (id int); CREATE TABLE shop.second (id int)",
        "GRANT SELECT ON shop.first, shop.second TO PUBLIC",
    )
    monkeypatch.setenv("SHOP_URL", engine.address)
    Source.objects.filter(pk=warehouse.pk).update(dialect="postgres", connection="SHOP_URL")
    with pytest.raises(ValidationError, match="Agreed"):
        services.quarantine_by_revoke(actor=steward, review=review)
    review = services.quarantine_by_revoke(actor=steward, review=agreed(review, jo, steward, editor))
    assert review.quarantine_by == "revoke"
    assert [target_of(each).grants for each in review.tables.all()] == [[Grant("SELECT", "")]] * 2
    (found,) = quarantine_scripts(review, {})
    assert found.script.forward.count('REVOKE SELECT ON TABLE "shop".') == 2
    assert found.script.back.count("TO PUBLIC;") == 2
    assert "RENAME" not in found.script.forward + found.script.back
    review = services.quarantine_by_rename(actor=steward, review=review)
    (found,) = quarantine_scripts(review, {})
    assert "REVOKE" not in found.script.forward and found.script.forward.count("RENAME") == 2
    engine.drop()


@pytest.mark.django_db
def test_the_drop_script_tells_of_scans_in_quarantine(
    tmp_path, monkeypatch, review, warehouse, jo, steward, editor
) -> None:
    engine = PostgreSQL(tmp_path, "pk_grants")
    engine.run("CREATE SCHEMA shop; CREATE TABLE shop.first (id int); CREATE TABLE shop.second (id int)")
    monkeypatch.setenv("SHOP_URL", engine.address)
    Source.objects.filter(pk=warehouse.pk).update(dialect="postgres", connection="SHOP_URL")
    review = agreed(review, jo, steward, editor)
    (found,) = quarantine_scripts(review, {})
    engine.run(found.script.forward)
    review = services.record_quarantine(actor=steward, review=review)
    hidden = {each.table.name: each.quarantine_name for each in review.tables.all()}
    assert list(review.tables.values_list("scans", flat=True)) == [0, 0]
    assert not any("scans" in note for each in delete_scripts(review, {}) for note in each.script.notes)
    engine.run(f"SELECT * FROM {scripts.quoted('postgres', hidden['shop.first'])}")
    notes = delete_scripts(review, {})[0].script.notes
    assert f"counts 1 more scans of {hidden['shop.first']} than" in notes[0]
    assert hidden["shop.second"] not in "".join(notes)
    engine.drop()
    notes = delete_scripts(review, {})[0].script.notes
    assert "could not be asked" in notes[0]


@pytest.mark.django_db
def test_without_grants_to_read_nothing_changes(tmp_path, monkeypatch, review, warehouse, jo, steward, editor) -> None:
    review = agreed(review, jo, steward, editor)
    with pytest.raises(ValidationError, match="names no connection"):
        services.quarantine_by_revoke(actor=steward, review=review)
    monkeypatch.setenv("SHOP_URL", DuckDB(tmp_path, "shop").address)
    Source.objects.filter(pk=warehouse.pk).update(connection="SHOP_URL")
    with pytest.raises(ValidationError, match="Quarantine by rename"):
        services.quarantine_by_revoke(actor=steward, review=review)
    review.refresh_from_db()
    assert review.quarantine_by == "rename"
    assert not Table.objects.filter(reviewed_in__grants__gt=[]).exists()


def test_no_grant_carries_more_than_a_right() -> None:
    with pytest.raises(NoScript, match="no right"):
        scripts.give("postgres", "a.b", Grant("SELECT; DROP TABLE c --", "x"))
    assert (
        scripts.give("postgres", "a.b", Grant("SELECT", 'x"; DROP')) == 'GRANT SELECT ON TABLE "a"."b" TO "x""; DROP";'
    )
    assert (
        scripts.give("mysql", "a.b", Grant("SELECT", "x`y@%", "c"))
        == "GRANT SELECT(`c`) ON TABLE `a`.`b` TO `x``y`@`%`;"
    )
