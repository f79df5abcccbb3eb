"""Words are the same however a text is read."""

import pytest

from catalog.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raw.orderItems_v2", ["raw", "order", "items", "v2"]),
        ("HTTPServer2Go", ["httpserver2", "go"]),
        ("SELECT a, A FROM Foo_Bar2Baz -- 1e5X", ["select", "a", "from", "foo", "bar2", "baz", "1e5", "x"]),
        ("x" * 50, ["x" * 40]),
        ("", []),
    ],
)
def test_a_text_has_the_same_words_with_and_without_accents_beside_them(text: str, words: list[str]) -> None:
    assert words_of(text) == words
    assert words_of(f"{text} é") == [*words, "e"]
