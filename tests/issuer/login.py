"""The page on which somebody signs in: a form that asks who one wants to be."""

from collections.abc import Mapping
from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Sign in</title></head>
<body>
<main>
<h1>Sign in</h1>
<form method="post" action="authorize">
{hidden}
<p><label>User <input name="user" value="{user}" required></label></p>
<p><label>Roles <input name="roles" value="faq image"></label></p>
<p><button type="submit">Sign in</button></p>
</form>
</main>
</body>
</html>
"""


def login_page(request: Mapping[str, str]) -> str:
    """The form; it carries the authorization request along."""
    hidden = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in request.items()
    )
    return _PAGE.format(hidden=hidden, user=escape(request.get("login_hint", "ada")))
