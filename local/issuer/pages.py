"""The pages that a person sees at the local issuer. There are no passwords: everybody may be everybody."""

from html import escape

from local.config import WRITE_GROUP, WRITER_EMAIL
from local.issuer.claims import TOKEN_SECONDS

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 3rem auto; padding: 0 1rem; }}
label {{ display: block; margin: .8rem 0; }}
input {{ display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .3rem; }}
button {{ font: inherit; padding: .4rem 1rem; margin-right: .5rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""
_FORM = """<p>{intro}</p>
<form method="post">
{code}
<label>E-mail <input name="email" type="email" required value="{email}" autocomplete="off"></label>
<label>Group <input name="group" value="{group}" autocomplete="off"></label>
<label>Seconds that a token lives
<input name="seconds" type="number" min="1" max="86400" required value="{seconds}"></label>
<p><button name="decision" value="allow">Sign in</button>
<button name="decision" value="deny" formnovalidate>Refuse</button></p>
</form>
"""
_CODE = '<label>Code <input name="user_code" required value="{}" autocomplete="off"></label>'


def sign_in_page(client_id: str) -> str:
    """Return the page where a person chooses who they are."""
    return _form("Sign in", f"{escape(client_id or 'A program')} wants to know who you are.", code="")


def device_page(user_code: str) -> str:
    """Return the page where a person enters the code that a device shows."""
    intro = "Enter the code that the other device shows."
    return _form("Sign in on another device", intro, code=_CODE.format(escape(user_code)))


def _form(title: str, intro: str, *, code: str) -> str:
    body = _FORM.format(intro=intro, code=code, email=WRITER_EMAIL, group=WRITE_GROUP, seconds=TOKEN_SECONDS)
    return _PAGE.format(title=title, body=body)


def message_page(title: str, text: str) -> str:
    """Return a page that says something."""
    return _PAGE.format(title=escape(title), body=f"<p>{escape(text)}</p>")
