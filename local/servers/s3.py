"""S3, SNS and STS: moto's own server, patched. `python -m local.servers.s3 --host H --port P`.

- For each request moto lists its package's directory, and stats every entry, under one lock. Done only once,
  it was measured to answer half as many requests again, in 60 % of the CPU time.
- moto dates every unfinished upload to 2010: a job that aborts old uploads would abort those at work.
- moto applies a bucket's policy to requests for objects, but not to those for the bucket.
- Between the check for an object and a conditional write of it, moto serves other requests; here conditional
  writes of a key happen one at a time, as in S3.
"""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import moto.backends
from moto import server
from moto.iam.access_control import PermissionResult
from moto.s3 import models, responses

_begin: Any = models.FakeMultipart.__init__
_list: Any = responses.S3Response.list_multipart_uploads
_head: Any = responses.S3Response.head_bucket


def begin(upload: Any, *arguments: Any, **more: Any) -> None:
    """Begin an upload, and record when."""
    _begin(upload, *arguments, **more)
    upload.initiated = datetime.now(UTC)


def list_uploads(response: Any) -> Any:
    """Return moto's list of unfinished uploads, with the right times."""
    status, headers, body = _list(response)
    uploads = response.backend.list_multipart_uploads(response.bucket_name)

    def dated(match: re.Match[str]) -> str:
        return f"{match[1]}{uploads[match[2]].initiated:%Y-%m-%dT%H:%M:%S.000Z}<"

    return status, headers, re.sub(r"(<UploadId>([^<]*).*?<Initiated>)[^<]*<", dated, body, flags=re.DOTALL)


def head_bucket(response: Any) -> Any:
    """Answer like moto, unless the bucket's policy denies listing."""
    bucket = response.backend.buckets.get(response.bucket_name)
    if bucket and bucket.get_permission("s3:ListBucket", bucket.arn) == PermissionResult.DENIED:
        return 403, {}, ""
    return _head(response)


# A lock for each key would stay for ever. Keys that share one only wait for each other.
_locks = [threading.Lock() for _ in range(64)]


def one_at_a_time(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method of moto's responses, so that it does one conditional write of a key at a time."""

    def answer_alone(response: Any, *arguments: Any) -> Any:
        if "If-None-Match" not in response.headers:
            return answer(response, *arguments)
        with _locks[hash((response.bucket_name, response.parse_key_name())) % len(_locks)]:
            return answer(response, *arguments)

    return answer_alone


def main() -> None:
    """Serve until a signal; the arguments are those of `moto_server`."""
    modules = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    patches: list[tuple[Any, str, Any]] = [
        (models.FakeMultipart, "__init__", begin),
        (responses.S3Response, "list_multipart_uploads", list_uploads),
        (responses.S3Response, "head_bucket", head_bucket),
        *(
            (responses.S3Response, name, one_at_a_time(getattr(responses.S3Response, name)))
            for name in ("put_object", "_key_response_post")
        ),
    ]
    for owner, name, patch in patches:
        setattr(owner, name, patch)
    server.main()


if __name__ == "__main__":
    main()
