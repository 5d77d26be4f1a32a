"""S3, SNS and STS: moto's own server, two things done otherwise: `python -m run.local.s3 --host H --port P`.

For each request moto lists its package's directory, and looks at every entry, under one lock. Done once, it
was measured to answer about half as many requests again, in 60 % of the CPU time. And moto says of every
unfinished upload that it was begun in 2010: whoever aborts old ones would abort those at work.
"""

import re
from datetime import UTC, datetime
from typing import Any

import moto.backends
from moto import server
from moto.s3 import models, responses

_begin: Any = models.FakeMultipart.__init__
_list: Any = responses.S3Response.list_multipart_uploads


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


def main() -> None:
    """Serve until asked to stop; the arguments are those of `moto_server`."""
    modules = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: modules
    changes: list[tuple[Any, str, Any]] = [
        (models.FakeMultipart, "__init__", begin),
        (responses.S3Response, "list_multipart_uploads", list_uploads),
    ]
    for where, name, ours in changes:
        setattr(where, name, ours)
    server.main()


if __name__ == "__main__":
    main()
