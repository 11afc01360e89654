import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.preparation.cleaning import clean_html, one_line


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain words", "plain words"),
        ("<p>One</p><p>two</p>\n", "One two"),
        ("a<br/>b", "a b"),
        ("<b>bo</b>ld <code>x</code>'s type", "bold x's type"),
        ("before <pre><code>let x = '</pre>';\n</code></pre> after", "before after"),
        ('<pre class="lang-js"><code class="js">x</code>\n</pre>after', "after"),
        ("cut off <pre><code>for (;;) {", "cut off"),
        ("<pre>output</pre>only", "output only"),
        ('see <a href="http://a.example/?q=1">this page</a>.', "see this page."),
        ('<a href="x">https://a.example/long</a> shows it', "shows it"),
        ("look at https://a.example/b?c=d#e now", "look at now"),
        ("a &lt;div&gt; &amp; &quot;x&quot; &#8364;", 'a <div> & "x" €'),
        ("if a < b and b > c", "if a < b and b > c"),
        ("x <!-- not seen --> y <!-- nor", "x y"),
        (
            "<blockquote>\n<p><strong>Possible Duplicate:</strong><br>"
            '<a href="/q/1">The original</a></p>\n</blockquote><p>Mine</p>',
            "Mine",
        ),
        ("<blockquote><p>quoted</p></blockquote>", "quoted"),
        ("&nbsp; \t\r\n ", ""),
    ],
)
def test_removes_code_markup_and_links(text: str, cleaned: str) -> None:
    assert clean_html(text) == cleaned


@given(st.text())
def test_leaves_one_line(text: str) -> None:
    cleaned = clean_html(text)
    assert cleaned == one_line(cleaned)
    assert not re.search(r"[\t\n\r\u2028]", cleaned)


@pytest.mark.parametrize(
    "part", ["<pre><code>", "<blockquote><p><strong>possible duplicate", "<a ", "<!--", "a.", "&"]
)
def test_takes_linear_time(part: str) -> None:
    start = time.perf_counter()
    clean_html(part * 100_000)
    assert time.perf_counter() - start < 5
