"""Takes out of a text what may name a person or open a door, before it is kept.

Patterns find the usual forms and nothing else: names and addresses in words stay. What is kept is
therefore still to be treated as personal. Each pattern takes time in proportion to the text, as it
runs on texts that strangers send.
"""

import re
from re import Match

SECRET, EMAIL, NUMBER = "<secret>", "<email>", "<number>"

LONGEST_NAME = 40
"""Characters without a blank from which on a run is taken for a key, whatever it is made of."""

_ANNOUNCED = re.compile(
    r"(?i)\b(password|passwd|passphrase|pwd|secret|token|api[ _-]?key|authorization)"
    r"(\s{0,4}[:=]\s{0,4}|\s{1,4}is\s{1,4})(?:(?:bearer|basic)\s{1,4})?"
    r"(?:\"[^\"]{0,256}\"|'[^']{0,256}'|\S+)"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic)\s{1,4}[\w+/=.~-]{8,}")
# JSON Web Tokens (RFC 7519), also cut ones.
_JWT = re.compile(r"\beyJ[\w-]{4,}(?:\.[\w-]*){0,2}")
_WORD = re.compile(r"[^\s<>\"'(),;:]+")
_RUN = re.compile(r"[\w+/=.~-]{16,}")
# Telephone, card and account numbers: six digits and more, grouped in the usual ways.
_NUMBER = re.compile(r"\+?\(?\d(?:[ ./()-]{0,2}\d){5,}")


def redacted(text: str) -> str:
    """The text with `<secret>`, `<email>` and `<number>` in the place of what is one."""
    text = _ANNOUNCED.sub(rf"\1\2{SECRET}", text)
    text = _SCHEME.sub(rf"\1 {SECRET}", text)
    text = _JWT.sub(SECRET, text)
    text = _WORD.sub(_email, text)
    text = _RUN.sub(_key, text)
    return _NUMBER.sub(NUMBER, text)


def _email(word: Match[str]) -> str:
    name, _, host = word[0].partition("@")
    return EMAIL if name and host else word[0]


def _key(run: Match[str]) -> str:
    """Keys mix letters and digits; words do not."""
    text = run[0]
    is_mixed = any(map(str.isdigit, text)) and any(map(str.isalpha, text))
    return SECRET if is_mixed or len(text) >= LONGEST_NAME else text
