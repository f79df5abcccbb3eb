"""What the function of the index of search costs: PostgreSQL took it for quick, and where it expected the beginnings of
two letters in many documents it read these one by one, through the function, which took 75 ms for 500.
"""

from django.db import migrations


def cost(figure):
    def alter(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"ALTER FUNCTION catalog_search_tokens(text) COST {figure}", params=None)

    return alter


class Migration(migrations.Migration):
    dependencies = [("catalog", "0017_search_beginnings")]

    operations = [migrations.RunPython(cost(1000), cost(100))]
