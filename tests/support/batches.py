"""Many files with contents of their own, a hundred in each request."""

import base64
from collections.abc import Iterable
from itertools import islice

from shared.file_batches import MOST_FILES
from tests.support.api import Api, Version, new_uuid, now


def put_contents(api: Api, replica: str, contents: Iterable[bytes]) -> list[Version]:
    """PUT a new file for each content; fail unless all are created."""
    made: list[Version] = []
    rest = iter(contents)
    while batch := list(islice(rest, MOST_FILES)):
        files = [Version(new_uuid(), now()) for _ in batch]
        items = [
            {
                "uuid": file.uuid,
                "version": file.version,
                "creator_uid": 1,
                "content": base64.b64encode(data).decode(),
            }
            for file, data in zip(files, batch, strict=True)
        ]
        answer = api.post("/v1/files/batch", replica=replica, json={"files": items})
        assert [row["status"] for row in answer.json()["files"]] == [201] * len(items), answer.text
        made += files
    return made
