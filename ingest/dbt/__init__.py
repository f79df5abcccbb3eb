"""A dbt project out of the files in its `target` folder.

Read in this order: json_files (streamed, bounded), manifest and catalog (JSON to small values), project (those values
to facts of the catalog), reading (what `ingest.services` asks of anything it reads), results (runs), services.
"""
