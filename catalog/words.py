"""Names and texts as the words that search compares: `raw.orderItems_v2` -> raw, order, items, v2.

Both databases index these words as they are, so that the same question finds the same things on either. No Django.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

LONGEST_WORD = 40
_RUN = re.compile(r"[^\W_]+")
_ASCII_RUN = re.compile(r"[A-Z]+[a-z0-9]*|[a-z0-9]+")  # the same two in one, in a third of the time
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # orderItems
_SPELLED = re.compile(r"[a-z]{4,20}")  # what a typo is looked for in: no numbers, no digests


def folded(text: str) -> str:
    """`text` without accents and capitals."""
    if text.isascii():
        return text.lower()
    bare = "".join(mark for mark in unicodedata.normalize("NFD", text) if not unicodedata.combining(mark))
    return unicodedata.normalize("NFC", bare).casefold()


def words_of(text: str) -> list[str]:
    """The words of a text in their order, each once."""
    if text.isascii():
        runs = map(str.lower, dict.fromkeys(_ASCII_RUN.findall(text)))
    else:
        runs = _RUN.findall(folded(_HUMP.sub(" ", text)))
    return list(dict.fromkeys([run[:LONGEST_WORD] for run in runs]))


@lru_cache(50_000)  # the same columns are in many tables
def words_of_name(name: str) -> tuple[str, ...]:
    """The words of a dotted name, and each of its parts written as one: order_items -> order, items, orderitems."""
    joined = ("".join(_RUN.findall(folded(part)))[:LONGEST_WORD] for part in name.split("."))
    return tuple(dict.fromkeys([*words_of(name), *(part for part in joined if part)]))


def spelled(words: Iterable[str]) -> Iterator[str]:
    """Of `words`, those that a person spells, and may misspell."""
    return (word for word in words if _SPELLED.fullmatch(word))


def variants(word: str) -> set[str]:
    """A word and what is left of it without any one letter.

    Two words that share a variant differ by one letter too many, missing, wrong or swapped with its neighbour (or, now
    and then, by two such): so a misspelt word finds the right one by equality, which every database looks up at once.
    """
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}


def is_one_off(one: str, other: str) -> bool:
    """Whether two words differ by one letter too many, missing or wrong, or by two neighbours swapped."""
    if len(one) != len(other):
        shorter, longer = sorted((one, other), key=len)
        return shorter in variants(longer)
    places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(places) != 2:
        return len(places) == 1
    first, second = places
    return second == first + 1 and one[first] + one[second] == other[second] + other[first]


def places_of(words: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Where words of `text` begin with one of `words`: (start, end) of each match, in order."""
    wanted = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    if not wanted:
        return []
    plain = folded(text)
    if len(plain) != len(text):  # folding changed the number of characters: its places are not the text's
        plain = text.lower() if len(text.lower()) == len(text) else text
    return [match.span() for match in re.finditer(rf"(?<![^\W_])(?:{wanted})", plain)]
