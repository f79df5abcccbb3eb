"""Checks out of files: definitions in YAML, and results that Soda and Great Expectations wrote."""
