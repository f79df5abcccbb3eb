"""Markdown that people write is harmless when shown, whatever they write."""

from __future__ import annotations

import re

import pytest

from audits.postmortems.markdown import to_html

ATTACKS = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg/onload=alert(1)//",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=http://evil.example/>",
    "<form action=http://evil.example><button>Sign in</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<object data=javascript:alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#x6A;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    '[x](http://a.example/"onmouseover="alert(1))',
    '[x](http://a.example "title" onmouseover=alert(1))',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "![x](http://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    '![x"onerror="alert(1)](x)',
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "`<script>alert(1)</script>`",
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
    "# <script>alert(1)</script>",
    "> <iframe src=//evil.example>",
    "1. <svg onload=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\x00<script>alert(1)</script>",
    "<a\x0bhref=javascript:alert(1)>x</a>",
    "<x onclick=alert(1)>click</x>",
]
_TAG = re.compile(r"<\s*/?\s*([a-z0-9]+)([^>]*)>", re.IGNORECASE)
_HARMLESS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "li", "pre", "code"),
    *("em", "strong", "s", "a", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = re.compile(
    r'(\s+(href="((https?:|mailto:)[^"]*|[^":]*)"|rel="noopener noreferrer nofollow"|start="\d+"))*\s*'
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_comes_out_as_plain_text(attack: str) -> None:
    for tag, attributes in _TAG.findall(to_html(attack)):
        assert tag in _HARMLESS
        assert _ATTRIBUTES.fullmatch(attributes)


def test_what_people_need_comes_out() -> None:
    html = to_html(
        "**Twice** the rows, see [the log](https://shop.example/log).\n\n- one\n- two\n\n| a |\n|---|\n| 1 |"
    )
    assert "<strong>Twice</strong>" in html
    assert '<a href="https://shop.example/log" rel="noopener noreferrer nofollow">the log</a>' in html
    assert "<li>one</li>" in html
    assert "<td>1</td>" in html
