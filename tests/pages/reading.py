"""What a person reads on a page, and what its forms would send."""

from __future__ import annotations

import html
import re
from typing import Any


def text_of(response: Any) -> str:
    """The words of a page in one line, without tags."""
    page = re.sub(r"<wbr>|</?mark>", "", response.content.decode())
    page = re.sub(r'<span class="prefix">(.*?)</span>', r"\1", page)
    body = page.split("<main", 1)[-1]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def fields_of(response: Any) -> dict[str, Any]:
    """The values that the page's form holds, as a browser would send them back unchanged."""
    form = response.context["form"]
    return {
        name: value
        for name, field in form.fields.items()
        if (value := field.widget.format_value(field.prepare_value(form[name].value()))) is not None
    } | {name: _chosen(form[name].value()) for name, field in form.fields.items() if hasattr(field, "choices")}


def offered(response: Any) -> list[str]:
    """The names among a field's suggestions."""
    return [html.unescape(name) for name in re.findall(r'data-name="([^"]*)"', response.content.decode())]


def _chosen(value: Any) -> Any:
    return "" if value is None else value
