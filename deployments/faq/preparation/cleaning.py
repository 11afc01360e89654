"""Cleans texts as the reference implementation does: markup, blocks of code and links are removed.

The words of inline code stay, as they do there: they are often all that a question is about. Other
than there, a block that is cut off at the end of a text goes too, character references are
resolved, white space is one space, and the note that names the original of a duplicate, which
would give the right answer away, is removed.
"""

import html
import re

_FLAGS = re.IGNORECASE | re.DOTALL
_CODE_BLOCK = re.compile(r"<pre\b[^<>]*>\s*<code\b.*?(?:</code>\s*</pre>|\Z)", _FLAGS)
_DUPLICATE_NOTE = re.compile(
    r"<blockquote>\s*<p>\s*<strong>\s*possible duplicates?:?.*?(?:</blockquote>|\Z)", _FLAGS
)
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|b|code|del|em|i|ins|kbd|s|samp|small|span|strike|strong|sub|sup|u|var)\b[^<>]*>",
    _FLAGS,
)
_TAG = re.compile(r"</?[a-z][^<>]*>|<!--.*?(?:-->|\Z)", _FLAGS)
_LINK = re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://\S+", re.IGNORECASE)


def clean_html(text: str) -> str:
    """The words of a text with HTML markup, on one line."""
    text = _CODE_BLOCK.sub(" ", _DUPLICATE_NOTE.sub(" ", text))
    # A word may be marked up in part, but no word goes on behind a paragraph.
    text = _TAG.sub(" ", _INLINE_TAG.sub("", text))
    return one_line(_LINK.sub(" ", html.unescape(text)))


def one_line(text: str) -> str:
    """With one space for white space of any kind, and none at the ends."""
    return " ".join(text.split())
