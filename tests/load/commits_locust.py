"""Commits of bundles at a rate, with readers beside them, for Locust.

`locust -f tests/load/commits_locust.py --host URL`. Of the environment: DSS_TOKEN, and DSS_LOAD_RATE, commits
a second. A commit is a bundle of ten new JSON files, which are PUT in one request before it.
"""

import base64
import json
import os
import random
import uuid
from collections import deque
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from locust import HttpUser, between, constant_throughput, task

FILES = 10
_RATE = int(os.environ["DSS_LOAD_RATE"])
_HEADERS = {"Authorization": f"Bearer {os.environ['DSS_TOKEN']}"}
_ORGANS = ("brain", "kidney", "heart", "lung")
# What readers read: bundles, with a file each.
_known: deque[tuple[str, str]] = deque(maxlen=1000)


def _version() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}"


class _User(HttpUser):
    abstract = True

    def _ask(
        self,
        name: str,
        method: str,
        path: str,
        *,
        statuses: Collection[int] = (200,),
        body: Any = None,
        **query: Any,
    ) -> Any:
        """Return the answer; None if it has none of the statuses, which counts as a failure."""
        target = f"{path}?{urlencode(query)}" if query else path
        with self.client.request(
            method, target, json=body, name=name, headers=_HEADERS, allow_redirects=False, catch_response=True
        ) as answer:
            if answer.status_code not in statuses:
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
                return None
            return answer


class Committer(_User):
    """Commits a bundle each second, unless the answers take longer."""

    fixed_count = _RATE
    wait_time = constant_throughput(1)

    @task
    def commit(self) -> None:
        """PUT ten files, and then the bundle."""
        files = [
            {
                "uuid": str(uuid.uuid4()),
                "version": _version(),
                "creator_uid": 1,
                "content": base64.b64encode(
                    json.dumps({"organ": {"text": random.choice(_ORGANS)}, "id": str(uuid.uuid4())}).encode()
                ).decode(),
                "content_type": "application/json",
            }
            for _ in range(FILES)
        ]
        if not self._ask(
            "commit: ten files", "POST", "/v1/files/batch", body={"files": files}, replica="gcp"
        ):
            return
        bundle = str(uuid.uuid4())
        items = [
            {
                "uuid": file["uuid"],
                "version": file["version"],
                "name": f"file_{number}.json",
                "indexed": number == 0,
            }
            for number, file in enumerate(files)
        ]
        body = {"files": items, "creator_uid": 1}
        query = {"replica": "gcp", "version": _version()}
        if self._ask("commit: bundle", "PUT", f"/v1/bundles/{bundle}", statuses=(201,), body=body, **query):
            _known.append((bundle, str(files[0]["uuid"])))


class Reader(_User):
    """Reads bundles and files that were just committed."""

    fixed_count = 5
    wait_time = between(0.2, 0.6)

    @task
    def read(self) -> None:
        """A bundle, and one of its files."""
        if not _known:
            return
        bundle, file = random.choice(_known)
        self._ask("read: GET bundle", "GET", f"/v1/bundles/{bundle}", replica="gcp")
        self._ask("read: HEAD file", "HEAD", f"/v1/files/{file}", replica="gcp")
        self._ask("read: GET file", "GET", f"/v1/files/{file}", statuses=(302,), replica="gcp")


class Searcher(_User):
    """Searches by the content of files."""

    fixed_count = 2
    wait_time = between(0.5, 1.5)

    @task
    def search(self) -> None:
        """The first page of those of an organ."""
        query = {"query": {"match": {"files.file_json.organ.text": random.choice(_ORGANS)}}}
        body = {"es_query": query}
        # 206: more follow.
        self._ask("search", "POST", "/v1/search", statuses=(200, 206), body=body, replica="gcp", per_page=10)


class Explorer(_User):
    """Looks at the catalogue."""

    fixed_count = 2
    wait_time = between(0.5, 1.5)

    @task
    def look(self) -> None:
        """A page of files with all facets."""
        self._ask("facets: files", "GET", "/index/files", size=15)
