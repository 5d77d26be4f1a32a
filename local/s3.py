"""S3, SNS and STS: moto's own server, some things done otherwise: `python -m local.s3 --host H --port P`.

For each request moto lists its package's directory, and looks at every entry, under one lock. Done once, it
was measured to answer about half as many requests again, in 60 % of the CPU time. And moto says of every
unfinished upload that it was begun in 2010: whoever aborts old ones would abort those at work. A bucket's
policy it heeds where an object is asked for, and not where the bucket is. Between a look for an object and a
conditional write of it, moto lets other requests in; here a key has one such write at a time, as in S3.
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
    """Begin an upload, and note when."""
    _begin(upload, *arguments, **more)
    upload.initiated = datetime.now(UTC)


def list_uploads(response: Any) -> Any:
    """Return moto's list of unfinished uploads, with the times put right."""
    status, headers, body = _list(response)
    uploads = response.backend.list_multipart_uploads(response.bucket_name)

    def dated(found: re.Match[str]) -> str:
        return f"{found[1]}{uploads[found[2]].initiated:%Y-%m-%dT%H:%M:%S.000Z}<"

    return status, headers, re.sub(r"(<UploadId>([^<]*).*?<Initiated>)[^<]*<", dated, body, flags=re.DOTALL)


def head_bucket(response: Any) -> Any:
    """Answer as moto does, unless the bucket's policy denies listing it."""
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
    """Serve until asked to stop; the arguments are those of `moto_server`."""
    modules = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    changes: list[tuple[Any, str, Any]] = [
        (models.FakeMultipart, "__init__", begin),
        (responses.S3Response, "list_multipart_uploads", list_uploads),
        (responses.S3Response, "head_bucket", head_bucket),
        *(
            (responses.S3Response, name, one_at_a_time(getattr(responses.S3Response, name)))
            for name in ("put_object", "_key_response_post")
        ),
    ]
    for where, name, ours in changes:
        setattr(where, name, ours)
    server.main()


if __name__ == "__main__":
    main()
