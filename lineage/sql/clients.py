r"""Commands for the program that sends a script, which stand among its SQL: blanked, so that all else keeps its place.

\i other.sql            psql, and Redshift's rsql
\copy t from 'a.csv'    psql; moves data as COPY t FROM 'a.csv' does
select 1 \g             psql and mysql; ends the statement, as -- COMMAND ---- does in a notebook of Databricks
DELIMITER //            mysql; from here on // ends a statement
PROMPT loading          SQL*Plus, and a line of / that runs what stands before it
:setvar Day 1           sqlcmd
!set echo=true          SnowSQL
PUT file:///d/*.csv @s  SnowSQL; /* begins no comment in it

https://www.postgresql.org/docs/current/app-psql.html, https://dev.mysql.com/doc/refman/8.4/en/mysql-commands.html,
https://docs.oracle.com/en/database/oracle/oracle-database/23/sqpug/SQL-Plus-command-reference.html,
https://docs.aws.amazon.com/redshift/latest/mgmt/rsql-query-tool.html,
https://learn.microsoft.com/sql/tools/sqlcmd/sqlcmd-commands, https://docs.snowflake.com/en/user-guide/snowsql-use
"""

import re
from functools import lru_cache
from re import Match, Pattern

# What is never closed ends with the text, and nothing is tried twice: any text takes time by its length alone.
COMMENTS = r"--[^\n]*|/\*.*?(?:\*/|\Z)"
TEXTS = r"""'[^']*+(?:'|\Z)|"[^"]*+(?:"|\Z)"""
ESCAPED = r"""'(?:[^'\\]|\\.?)*+(?:'|\Z)|"(?:[^"\\]|\\.?)*+(?:"|\Z)|`[^`]*+(?:`|\Z)"""
FLAGS = re.DOTALL | re.MULTILINE | re.IGNORECASE


def compiled(comments: str, texts: str, *commands: str) -> Pattern[str]:
    """Finds commands, and first the comments and texts in which there are none."""
    return re.compile("|".join((f"(?P<comment>{comments})", f"(?P<text>{texts})", *commands)), FLAGS)


# The named group that a match ends with says what `sql_of` makes of it.
DOLLARS = r"\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)"
BACKSLASHES = (
    r"(?P<sign>(?<!:):(?='))",  # :'day' is the text of a variable
    r"(?P<stdin>^[ \t]*COPY\s[^;']{0,300}?\sFROM\s{1,9}STDIN\b[^;]{0,200};)",
    r"\\copy[ \t]+(?P<copy>[^\n]*)",
    r"(?P<end>\\(?:gx|gset|gexec|gdesc|g|crosstabview|watch|;)(?!\w)[^\n]*)",
    r"(?P<command>\\[^\n]*)",
)
PSQL = compiled(COMMENTS, rf"\bE'(?:[^'\\]|\\.?)*+(?:'|\Z)|{TEXTS}|{DOLLARS}", *BACKSLASHES)
RSQL = compiled(COMMENTS, rf"{ESCAPED}|{DOLLARS}", *BACKSLASHES)
LINES = "PROMPT|REM|REMARK|SPOOL|WHENEVER|ACCEPT|PAUSE|HOST|TTITLE|BTITLE"
SETTINGS = "SET|SHOW|EXIT|QUIT|DEFINE|UNDEFINE|COLUMN|COL|VARIABLE|VAR|CONNECT|CONN|CLEAR|BREAK|COMPUTE"  # without a ;
SQLPLUS = compiled(
    COMMENTS,
    TEXTS,
    r"(?P<end>^[ \t]*/[ \t]*$|;)",
    rf"(?P<line>^[ \t]*(?:(?:{LINES})\b[^\n]*|@[^\n]*|(?:{SETTINGS})\b[^;\n]*)$)",
    r"(?P<other>[^\s;'\"/-]+|\S)",
)
SQLCMD = compiled(
    COMMENTS,
    TEXTS,
    r"(?P<command>^[ \t]*(?::(?:setvar|r|on|connect|out|error|perftrace|exit|quit|xml|list|reset)\b|!!)[^\n]*)",
)
SNOWSQL = compiled(
    rf"{COMMENTS}|//[^\n]*",
    rf"{ESCAPED}|\$\$.*?(?:\$\$|\Z)",
    r"(?P<command>^![a-z][^\n]*|^[ \t]*PUT\s[^;]*)",
)
NOTEBOOK = re.compile(r"(?P<end>^-- COMMAND -+[ \t]*$)", FLAGS)


@lru_cache(10)
def mysql(mark: str) -> Pattern[str]:
    """Where `mark` ends a statement."""
    return compiled(
        r"--\s[^\n]*|#[^\n]*|/\*.*?(?:\*/|\Z)",
        ESCAPED,
        r"(?P<delimiter>^[ \t]*DELIMITER[ \t]+(?P<mark>\S+)[^\n]*)",
        rf"(?P<end>\\g|{re.escape(mark)})",
        r"(?P<command>\\\.[^\n]*)",
    )


CLIENTS = {  # the commands of each, and what a text holds that is looked through for them
    "psql": (PSQL, re.compile(r"\\|:'")),
    "rsql": (RSQL, re.compile(r"\\|:'")),
    "mysql": (mysql(";"), re.compile(r"\\[g.]|^[ \t]*DELIMITER\b", FLAGS)),
    "sqlplus": (SQLPLUS, re.compile(rf"^[ \t]*(?:[@/]|(?:{LINES}|{SETTINGS})\b)", FLAGS)),
    "sqlcmd": (SQLCMD, re.compile(r"^[ \t]*(?::|!!)", FLAGS)),
    "snowsql": (SNOWSQL, re.compile(r"^(?:!|[ \t]*PUT\s)", FLAGS)),
    "notebook": (NOTEBOOK, re.compile(r"\A\s*-- Databricks notebook source")),
}


def sql_of(text: str, client: str) -> tuple[str, list[tuple[int, str]]]:
    r"""The SQL of that client's script, of the same length: a command is blank, or a ; where it ends a statement. And
    the place and the SQL of each \copy."""
    pattern, mark = CLIENTS[client]
    if not mark.search(text):
        return text, []
    parts: list[str] = []
    copies: list[tuple[int, str]] = []
    at = kept = 0
    last_data = text.rfind("\n\\.")  # ends the rows behind COPY … FROM STDIN
    is_start = True  # no statement is open
    while found := pattern.search(text, at):
        kind, at = str(found.lastgroup), found.end()
        if kind == "line" and not is_start:  # SET of an UPDATE, say
            at = found.start() + len(found[0]) - len(found[0].lstrip()) + 1
        elif kind == "stdin" and at <= last_data:
            kept, start = text.index("\n\\.", at) + 3, kept
            parts += [text[start:at], blanks(text[at:kept])]
            at = kept
        elif kind not in ("comment", "text", "other", "stdin"):
            start = found.start()
            ending = ";" if kind == "end" else ""
            parts += [text[kept:start], ending, blanks(text[start + len(ending) : at])]
            kept = at
            if kind == "copy":
                copies += copied(found)
            elif kind == "delimiter":
                pattern = mysql(found["mark"])
        is_start = kind in ("end", "line") or (is_start and kind == "comment")
    return "".join(parts) + text[kept:], copies


def blanks(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


COPY = re.compile(
    r"(?P<what>\(.*\)|[^\s(]+(?:\s*\([^)]*\))?)\s+(?P<way>FROM|TO)\s+"
    r"(?P<file>PROGRAM\s+'[^']*'|'[^']*'|P?STD(?:IN|OUT)\b|(?P<plain>[^\s;]+))",
    FLAGS,
)


def copied(command: Match[str]) -> list[tuple[int, str]]:
    r"""\copy t to a.csv csv: COPY t TO 'a.csv'."""
    found = COPY.match(command["copy"])
    if found is None:
        return []
    file = f"'{found['plain']}'" if found["plain"] else re.sub("^PSTD", "STD", found["file"].upper())
    file = file if found["plain"] or file.startswith("STD") else found["file"]
    return [(command.start(), f"COPY {found['what']} {found['way']} {file}")]
