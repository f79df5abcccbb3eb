"""Secrets go, the words around them and the lines stay."""

from __future__ import annotations

import pytest

from ingest.redact import redact


@pytest.mark.parametrize(
    ("sql", "kept"),
    [
        ("CREATE USER a PASSWORD 'hunter2'", "CREATE USER a PASSWORD '***'"),
        ("ALTER ROLE a IDENTIFIED BY 'it''s'", "ALTER ROLE a IDENTIFIED BY '***'"),
        ("CREATE LOGIN a WITH PASSWORD = N'hunter2'", "CREATE LOGIN a WITH PASSWORD = N'***'"),
        ("COPY t FROM 's3://b/k' CREDENTIALS 'aws_access_key_id=A;x=B'", "COPY t FROM 's3://b/k' CREDENTIALS '***'"),
        ("COPY t SECRET_ACCESS_KEY 'abc' ACCESS_KEY_ID 'def'", "COPY t SECRET_ACCESS_KEY '***' ACCESS_KEY_ID '***'"),
        ("(AWS_KEY_ID='a', AWS_SECRET_KEY='b')", "(AWS_KEY_ID='***', AWS_SECRET_KEY='***')"),
        ("CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')", "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET '***')"),
        ('CREDENTIALS = (AZURE_SAS_TOKEN = "?sv=1")', 'CREDENTIALS = (AZURE_SAS_TOKEN = "***")'),
        ("postgres_scan('postgres://ann:hunter2@db/shop')", "postgres_scan('postgres://ann:***@db/shop')"),
        ("FROM 'https://a.blob.core/x?sv=1&sig=abc%3D'", "FROM 'https://a.blob.core/x?sv=1&sig=***'"),
        ("'AKIAABCDEFGHIJKLMNOP'", "'***'"),
        ("'-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----'", "'***\n\n'"),
    ],
)
def test_secrets_are_masked(sql: str, kept: str) -> None:
    assert redact(sql) == kept


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT password_reset, token, secret FROM users WHERE key = 'x'",
        "SELECT 'a' AS token, \"b\" FROM t -- https://example.com/a:b",
        "SELECT JSON_VALUE(x, '$.token'), 'y' FROM t",
        "SELECT pass, 'x' FROM exams",
        "SELECT x FROM keys WHERE key_id = 'hmac_prod'",
    ],
)
def test_other_text_is_left_alone(sql: str) -> None:
    assert redact(sql) == sql
