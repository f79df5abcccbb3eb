"""Signing in and out, tokens, the theme."""

from __future__ import annotations

import pytest
from django.test import Client

from catalog.models import ApiToken
from catalog.tokens import digest_of
from tests.factories import make_user
from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


def test_sign_in_leads_back_to_where_one_wanted_to_go(client: Client, viewer) -> None:
    wanted = client.get("/tables/").headers["Location"]
    assert wanted == "/login/?next=/tables/"
    form = {"username": viewer.username, "password": "correct horse", "next": "/tables/"}
    assert client.post("/login/", form).headers["Location"] == "/tables/"


def test_a_wrong_password_is_told_and_the_name_kept(client: Client, viewer) -> None:
    response = client.post("/login/", {"username": viewer.username, "password": "wrong"})
    assert "Please enter a correct username and password" in text_of(response)
    assert f'value="{viewer.username}"' in response.content.decode()


def test_sign_out(viewer, signed_in) -> None:
    browser = signed_in(viewer)
    assert browser.post("/logout/").headers["Location"] == "/login/"
    assert browser.get("/").status_code == 302


def test_a_tokens_secret_is_shown_once(viewer, signed_in) -> None:
    browser = signed_in(viewer)
    response = browser.post("/account/", {"name": "airflow", "scope": "write"})
    secret = response.context["secret"]
    assert secret in text_of(response)
    assert "no-store" in response.headers["Cache-Control"]
    assert ApiToken.objects.get().digest == digest_of(secret)
    assert secret not in text_of(browser.get("/account/"))
    assert "airflow" in text_of(browser.get("/account/"))


def test_a_token_needs_a_name(viewer, signed_in) -> None:
    response = signed_in(viewer).post("/account/", {"name": "", "scope": "read"})
    assert response.status_code == 422
    assert not ApiToken.objects.exists()


def test_revoking_a_token(viewer, signed_in, with_token) -> None:
    program = with_token(viewer)
    assert program.get("/api/v1/tables/").status_code == 200
    signed_in(viewer).post(f"/account/tokens/{ApiToken.objects.get().pk}/revoke/")
    assert program.get("/api/v1/tables/").status_code == 401


def test_changing_the_password(viewer, signed_in) -> None:
    browser = signed_in(viewer)
    new = "a quite different horse"
    form = {"old_password": "correct horse", "new_password1": new, "new_password2": new}
    assert "The password is changed." in text_of(browser.post("/account/password/", form, follow=True))
    viewer.refresh_from_db()
    assert viewer.check_password(new)


def test_the_theme_is_kept_and_leads_back(client: Client) -> None:
    response = client.post("/account/theme/", {"theme": "dark", "next": "/login/"})
    assert response.headers["Location"] == "/login/"
    assert 'data-theme="dark"' in client.get("/login/").content.decode()
    client.post("/account/theme/", {"theme": "", "next": "/login/"})
    assert "data-theme=" not in client.get("/login/").content.decode()


def test_the_theme_leads_to_no_other_host(client: Client) -> None:
    response = client.post("/account/theme/", {"theme": "dark", "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"


def test_an_admin_reaches_djangos_admin_without_the_staff_flag(signed_in) -> None:
    browser = signed_in(make_user("admin"))
    assert browser.get("/admin/").status_code == 200
    assert browser.get("/admin/catalog/user/").status_code == 200
    assert browser.get("/admin/catalog/pipeline/add/").status_code == 403
    assert "Administration" in text_of(browser.get("/account/"))
