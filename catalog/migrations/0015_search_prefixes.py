"""Beginnings of words of two to nine marks are looked up at once on SQLite; longer and shorter ones were put together
from the documents of every word that begins so, which took 10 to 50 ms in a million documents. Half a minute for those.
"""

from django.db import migrations

WORDS = """CREATE VIRTUAL TABLE catalog_search_words USING fts5(
    words, content='catalog_searchdocument', content_rowid='id', detail='none', prefix='{}',
    tokenize='unicode61 remove_diacritics 0')"""


def indexing(prefixes):
    def make_anew(apps, schema_editor):
        if schema_editor.connection.vendor == "sqlite":  # the triggers are the documents', and stay
            schema_editor.execute("DROP TABLE catalog_search_words")
            schema_editor.execute(WORDS.format(prefixes))
            schema_editor.execute("INSERT INTO catalog_search_words(catalog_search_words) VALUES ('rebuild')")

    return make_anew


class Migration(migrations.Migration):
    dependencies = [("catalog", "0014_run_failed")]

    operations = [migrations.RunPython(indexing("2 3 4 5 6 7 8 9"), indexing("3 4 5"))]
