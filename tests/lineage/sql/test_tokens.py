"""Scripts are cut into the statements they hold, each with its place in the text."""

import pytest

from lineage.sql.dialects import language
from lineage.sql.tokens import split


def cut(text: str, dialect: str) -> list[tuple[str, str]]:
    return [(piece.kind, " ".join(text[piece.start : piece.end].split())) for piece in split(text, language(dialect))]


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (
            "postgres",
            "SELECT 1; SELECT ';' ;; -- SELECT 2;\n",
            [("statement", "SELECT 1"), ("statement", "SELECT ';'")],
        ),
        (
            "bigquery",
            "IF x > 1 THEN SELECT 1; ELSEIF y THEN SELECT 2; ELSE SELECT 3; END IF; SELECT 4",
            [("condition", "x > 1"), ("statement", "SELECT 1"), ("condition", "y"), ("statement", "SELECT 2")]
            + [("statement", "SELECT 3"), ("statement", "SELECT 4")],
        ),
        (
            "bigquery",
            "FOR r IN (SELECT a FROM t) DO SELECT 1; END FOR; WHILE x < CASE WHEN y THEN 1 END DO SET x = 1; END WHILE",
            [("loop", "SELECT a FROM t"), ("statement", "SELECT 1"), ("condition", "x < CASE WHEN y THEN 1 END")]
            + [("statement", "SET x = 1")],
        ),
        (
            "bigquery",
            "BEGIN SELECT 1; EXCEPTION WHEN ERROR THEN SELECT 2; END; BEGIN TRANSACTION; COMMIT TRANSACTION",
            [("statement", "SELECT 1"), ("statement", "SELECT 2"), ("statement", "BEGIN TRANSACTION")]
            + [("statement", "COMMIT TRANSACTION")],
        ),
        (
            "snowflake",
            "CREATE PROCEDURE p() AS $$ DECLARE n INT DEFAULT 1; BEGIN INSERT INTO u SELECT 1; END $$; SELECT 2",
            [("declaration", "1"), ("statement", "INSERT INTO u SELECT 1"), ("statement", "SELECT 2")],
        ),
        ("snowflake", "CREATE TASK k AS INSERT INTO u SELECT 1", [("statement", "INSERT INTO u SELECT 1")]),
        (
            "tsql",
            "SELECT a INTO #x FROM t\nINSERT INTO u (a) SELECT a FROM #x\nUPDATE u SET a = 1\nGO\nEXEC p",
            [("statement", "SELECT a INTO #x FROM t"), ("statement", "INSERT INTO u (a) SELECT a FROM #x")]
            + [("statement", "UPDATE u SET a = 1"), ("statement", "EXEC p")],
        ),
        ("postgres", "DO $$ BEGIN DELETE FROM t; END $$", [("statement", "DELETE FROM t")]),
        (
            "mysql",
            "DELIMITER //\nCREATE PROCEDURE p() BEGIN SELECT 1; END //\nDELIMITER ;",
            [("statement", "SELECT 1")],
        ),
        ("bigquery", "EXECUTE IMMEDIATE 'SELECT 1'; CALL p()", [("statement", "SELECT 1"), ("opaque", "CALL p()")]),
    ],
)
def test_cuts(dialect: str, text: str, expected: list[tuple[str, str]]) -> None:
    assert cut(text, dialect) == expected


def test_a_text_that_cannot_be_tokenized_costs_only_its_own_statement() -> None:
    assert [kind for kind, _ in cut("SELECT 1;\nSELECT 'open;\n", "postgres")] == ["statement", "opaque"]
