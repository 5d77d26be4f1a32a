"""Errors of the clouds' libraries become one sentence that says what to do."""

import json

import pytest
import requests
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, NoCredentialsError
from google.api_core.exceptions import Forbidden, from_http_response
from google.auth.exceptions import DefaultCredentialsError, RefreshError
from google.cloud.storage.exceptions import InvalidResponse
from hypothesis import given
from hypothesis import strategies as st

from dss.transfer.vendor_errors import sentence_of

DENIED = "ada@example.org does not have storage.objects.create access to the bucket"
BODY = json.dumps(
    {"error": {"code": 403, "message": DENIED + ".", "errors": [{"reason": "forbidden"}]}}, indent=2
)
ASK = "ask the owner of the bucket for the right to write there, or give another --staging"


def answer(status: int, body: str) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, body.encode()
    made.headers["Content-Type"] = "application/json"
    made.request = requests.Request("POST", "https://storage.googleapis.com/upload/b/x/o?name=y").prepare()
    return made


def boto(code: str, message: str, status: int) -> ClientError:
    details = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(details, "PutObject")  # type: ignore[arg-type]


def wrapped(cause: Exception) -> Exception:
    """Return an error that was raised while another was handled, as boto3 does."""
    try:
        try:
            raise cause
        except ClientError as error:
            raise S3UploadFailedError(f"Failed to upload f to b/k: {error}")  # noqa: B904
    except S3UploadFailedError as error:
        return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (from_http_response(answer(403, BODY)), f"403: {DENIED}; {ASK}"),
        (InvalidResponse(answer(403, BODY), "Request failed with status code", 403), f"403: {DENIED}; {ASK}"),
        (
            from_http_response(answer(404, "<Error><Message>The bucket does not exist.</Message></Error>")),
            "404: The bucket does not exist; check the name of the bucket in --staging",
        ),
        (
            RefreshError("invalid_grant: Bad Request", {"error": "invalid_grant"}),
            "invalid_grant: Bad Request; sign in with LOGIN",
        ),
        (
            DefaultCredentialsError("Your credentials were not found."),
            "Your credentials were not found; sign in with LOGIN",
        ),
        (boto("AccessDenied", "Access Denied", 403), f"403: AccessDenied: Access Denied; {ASK}"),
        (
            wrapped(boto("NoSuchBucket", "No such bucket", 404)),
            "404: NoSuchBucket: No such bucket; check the name of the bucket in --staging",
        ),
        (NoCredentialsError(), "Unable to locate credentials; sign in with LOGIN"),
        (
            boto("SlowDown", "Reduce your rate", 503),
            "503: SlowDown: Reduce your rate; the cloud's service has a problem; try again later, "
            "what is done is not done again",
        ),
    ],
)
def test_an_error_is_one_sentence_with_what_to_do(error: Exception, sentence: str) -> None:
    assert sentence_of(error, "LOGIN") == sentence


def test_the_answer_in_the_text_of_an_error_is_taken_apart() -> None:
    error = Forbidden(f"POST https://storage.googleapis.com/upload/b/x/o: {BODY}: ('Request failed', 403)")

    assert sentence_of(error, "LOGIN") == f"403: {DENIED}; {ASK}"


@given(st.text(), st.integers(300, 599))
def test_no_answer_is_shown_as_it_came(body: str, status: int) -> None:
    for text in (body, json.dumps({"error": body}), json.dumps({"errors": [{"message": body}]})):
        # The second one is how the library reports an upload that failed.
        for error in (
            InvalidResponse(answer(status, text), "failed"),
            Forbidden(f"POST https://h/x: {text}"),
        ):
            shown = sentence_of(error, "LOGIN")
            assert len(shown.splitlines()) == 1
            assert '{"' not in shown or '{"' in body
            assert len(shown) < 600
