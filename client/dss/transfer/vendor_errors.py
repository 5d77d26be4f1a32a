"""Errors of the clouds' libraries in one sentence: what is wrong, and what to do, without JSON and XML."""

import json
import re
from collections.abc import Iterator
from typing import Any

# What a person can do about an answer with this status; {login} signs in to the cloud, {option} names the
# bucket, and {right} is what the work needs there.
_ADVICE = {
    401: "sign in again with {login}",
    403: "ask the owner of the bucket for the right to {right} there, or give another {option}",
    404: "check the name of the bucket in {option}",
    429: "try again later; what is done is not done again",
}
_ADVICE_5XX = "the cloud's service has a problem; try again later, what is done is not done again"
_ADVICE_SIGN_IN = "sign in with {login}"
_XML_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_CALL = re.compile(r"^(?:\d{3} )?[A-Z]+ https?://\S+: *")
_LONGEST = 300


def sentence_of(error: BaseException, login: str, *, option: str = "--staging", right: str = "write") -> str:
    """Return what an error of a library says, and what to do; `login` is the command that signs in.

    `option` is that of the command line which named the bucket, and `right` what is to be done there.
    """
    causes = list(_causes(error))
    status = next(filter(None, map(_status_in, causes)), None)
    text = next(filter(None, map(_text_in, causes)), type(error).__name__)
    advice = _advice(status, causes).format(login=login, option=option, right=right)
    head = f"{status}: {text}" if status else text
    return f"{head.rstrip('. ')}; {advice}" if advice else head


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the innermost error that a library has, then those that wrap it: the innermost knows most."""
    if error is None:
        return
    inner = error.__cause__ or error.__context__
    # An error of Python below it (a key that is missing in a cache, say) is how the library works.
    if inner is not None and type(inner).__module__.partition(".")[0] in ("botocore", "boto3", "google"):
        yield from _causes(inner)
    yield error


def _status_in(error: BaseException) -> int | None:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(answer, "status_code", None) or getattr(error, "code", None)
    return int(status) if isinstance(status, int) else None


def _text_in(error: BaseException) -> str:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        said = answer.get("Error", {})
        return _plain(f"{said.get('Code', '')}: {said.get('Message') or 'no message'}")
    body = _body_text(answer)
    return body or _plain(str(error.args[0] if error.args else error))


def _body_text(answer: Any) -> str:
    text = getattr(answer, "text", "")
    if not isinstance(text, str):
        return ""
    if found := _XML_MESSAGE.search(text):
        return _plain(found[1])
    return _json_message(text)


def _plain(text: str) -> str:
    """Return a text in one line, without the call that it is about, and without JSON."""
    text = _CALL.sub("", " ".join(text.split()))
    before, brace, _ = text.partition("{")
    if brace:
        text = _json_message(text[len(before) :]) or before.rstrip(" :(,'") or "no message"
    return text[:_LONGEST]


def _json_message(text: str) -> str:
    try:
        error = json.JSONDecoder().raw_decode(text.strip())[0]["error"]
        message = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " ".join(str(message).split())[:_LONGEST]


def _advice(status: int | None, causes: list[BaseException]) -> str:
    if status is not None:
        return _ADVICE.get(status, _ADVICE_5XX if status >= 500 else "")
    names = " ".join(type(cause).__name__ for cause in causes)
    return _ADVICE_SIGN_IN if re.search("Credential|Refresh|Token|Auth|SSO", names) else ""
