"""The patch, taken by git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audits.deletion.patch import Wanted, make_patch, without_statements
from catalog.models import Pipeline

SCRIPT = """-- owner: jo
CREATE TABLE shop.kept AS SELECT 1 AS a;

-- the old report
CREATE TABLE shop.old AS
SELECT 2 AS a;

CREATE TABLE shop.also AS SELECT 3 AS a;
"""
SETTINGS = """# our warehouse
dialect: duckdb

tables:
  - name: shop.kept
    description: stays
  # the old one
  - name: shop.old
    description: goes
    columns:
      a: b

  # what comes next
  - name: shop.also

pipelines:
  - name: load_old
    outputs: [shop.old]
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    files = {
        "growth/old.sql": "SELECT 1 AS a",  # without a newline at its end
        "growth/both.sql": SCRIPT,
        "pipekeeper.yaml": SETTINGS,
        "sql/p/d/t/query.sql": "SELECT 1\n",
        "sql/p/d/t/metadata.yaml": "owners: [jo]\n",
        "sql/p/d/u/query.sql": "SELECT 1\n",
        "sql/p/d/u/view.sql": "SELECT 1\n",
        "sql/p/d/u/metadata.yaml": "owners: [jo]\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    return tmp_path


def git(folder: Path, *arguments: str, stdin: str = "") -> None:
    subprocess.run(["git", *arguments], cwd=folder, input=stdin, text=True, check=True, capture_output=True)


def test_git_applies_it(checkout) -> None:
    wanted = Wanted(
        delete=["growth/old.sql", "sql/p/d/t/query.sql", "sql/p/d/u/query.sql"],
        trim={"growth/both.sql": ["warehouse.shop.old"]},
        tables=["warehouse.shop.old"],
        pipelines=["load_old"],
        dialect="duckdb",
    )
    patch = make_patch(checkout, wanted)
    git(checkout, "apply", stdin=patch.text)
    left = {
        str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    assert left == {"growth/both.sql", "pipekeeper.yaml", "sql/p/d/u/view.sql", "sql/p/d/u/metadata.yaml"}
    script = (checkout / "growth/both.sql").read_text()
    assert "shop.old" not in script
    assert "shop.kept" in script
    assert "shop.also" in script
    settings = (checkout / "pipekeeper.yaml").read_text()
    assert "shop.old" not in settings
    for kept in ("# our warehouse", "- name: shop.kept", "- name: shop.also", "# what comes next"):
        assert kept in settings
    assert patch.by_hand == ()


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE shop.old AS SELECT 1 AS a; CREATE TABLE shop.kept AS SELECT a FROM shop.old",  # is read after
        "CREATE TABLE {{ target }} AS SELECT 1 AS a; CREATE TABLE shop.old AS SELECT 1 AS a",
        "SELEC 1; CREATE TABLE shop.old AS SELECT 1 AS a",
        "CREATE TABLE shop.kept AS SELECT 1 AS a",
    ],
)
def test_what_cannot_be_cut_out_is_left_to_people(sql) -> None:
    assert without_statements(sql, ["shop.old"], "duckdb") is None


def test_a_file_that_is_gone_or_outside_is_said(checkout) -> None:
    patch = make_patch(checkout, Wanted(["../secret.sql", "nowhere.sql"], {}, [], []))
    assert patch.text == ""
    assert patch.by_hand == ("../secret.sql is not in this checkout.", "nowhere.sql is not in this checkout.")


@pytest.mark.django_db
def test_the_command_prints_the_patch_of_a_review(review, checkout, capsys) -> None:
    Pipeline.objects.filter(name="build_first").update(repository_path="growth/old.sql")
    call_command("deletion_patch", review.pk, repo=checkout)
    assert "deleted file mode 100644\n--- a/growth/old.sql" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no deletion review"):
        call_command("deletion_patch", 999, repo=checkout)
