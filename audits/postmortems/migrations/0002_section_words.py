"""An index of the words in post-mortems: FTS5 on SQLite, a tsvector on PostgreSQL. The databases keep it themselves."""

from django.db import migrations

SQLITE = [
    """CREATE VIRTUAL TABLE postmortems_section_words USING fts5(
        text, content='postmortems_section', content_rowid='id', tokenize='porter unicode61')""",
    "INSERT INTO postmortems_section_words(postmortems_section_words) VALUES ('rebuild')",
    """CREATE TRIGGER postmortems_section_words_new AFTER INSERT ON postmortems_section BEGIN
        INSERT INTO postmortems_section_words(rowid, text) VALUES (new.id, new.text);
    END""",
    """CREATE TRIGGER postmortems_section_words_gone AFTER DELETE ON postmortems_section BEGIN
        INSERT INTO postmortems_section_words(postmortems_section_words, rowid, text) VALUES ('delete', old.id, old.text);
    END""",
    """CREATE TRIGGER postmortems_section_words_changed AFTER UPDATE OF text ON postmortems_section BEGIN
        INSERT INTO postmortems_section_words(postmortems_section_words, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO postmortems_section_words(rowid, text) VALUES (new.id, new.text);
    END""",
]
SQLITE_BACK = [
    "DROP TRIGGER postmortems_section_words_new",
    "DROP TRIGGER postmortems_section_words_gone",
    "DROP TRIGGER postmortems_section_words_changed",
    "DROP TABLE postmortems_section_words",
]
# A tsvector holds 1 MB at most: of a longer text the first 200,000 characters count.
POSTGRESQL = [
    """ALTER TABLE postmortems_section ADD COLUMN words tsvector
        GENERATED ALWAYS AS (to_tsvector('english', left(text, 200000))) STORED""",
    "CREATE INDEX postmortems_section_words ON postmortems_section USING gin (words)",
]
POSTGRESQL_BACK = ["ALTER TABLE postmortems_section DROP COLUMN words"]


def run(statements):
    def each(apps, schema_editor):
        for statement in statements[schema_editor.connection.vendor]:
            schema_editor.execute(statement)

    return each


class Migration(migrations.Migration):
    dependencies = [("postmortems", "0001_initial")]
    operations = [
        migrations.RunPython(
            run({"sqlite": SQLITE, "postgresql": POSTGRESQL}),
            run({"sqlite": SQLITE_BACK, "postgresql": POSTGRESQL_BACK}),
        )
    ]
