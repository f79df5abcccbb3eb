"""Errors in words, and what holds for every page."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string
from django.test import Client

from tests.pages.reading import text_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/pipelines/no.such/", "There is no pipeline called no.such."),
        ("/tables/lake/no.such/", "There is no table called no.such in the source lake."),
        ("/tables/lake/no.such/lineage/", "There is no table called no.such"),
        ("/owners/nobody/", "There is no owner with the slug nobody."),
        ("/sources/none/", "There is no source with the slug none."),
        ("/tags/none/", "There is no tag called none."),
        ("/pipelines/a%00b/", "No name holds a null character."),
        ("/nowhere/", "The address may be old or misspelt."),
    ],
)
def test_what_is_not_there_is_named(path, words, viewer, signed_in) -> None:
    response = signed_in(viewer).get(path)
    assert response.status_code == 404
    assert words in text_of(response)
    assert "data-visit" not in response.content.decode(), "what is not there is no place to come back to"


def test_who_has_no_role_is_told_who_can_help(stranger, signed_in) -> None:
    response = signed_in(stranger).get("/")
    assert response.status_code == 403
    assert "you have no role yet. An admin can change it." in text_of(response)


def test_a_stranger_sees_a_404_without_the_frame(client: Client) -> None:
    response = client.get("/nowhere/")
    assert response.status_code == 404
    assert 'class="side"' not in response.content.decode()


def test_the_page_of_a_broken_server_needs_no_context() -> None:
    assert "Something broke here" in render_to_string("500.html")


def test_a_page_loads_from_here_alone(viewer, signed_in) -> None:
    response = signed_in(viewer).get("/")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    page = response.content.decode()
    assert "//" not in page.replace("http://www.w3.org", "").split("<main")[0]
    assert " style=" not in page
    assert " onclick=" not in page
