"""Google Cloud's REST APIs, as far as `dss deploy check` asks them, and an OpenID provider, over HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.server_threads import in_thread

NUMBER = "123456789012"
Answer = tuple[int, dict[str, Any]]


class FakeGoogle:
    """A project as the APIs show it; `answers` has a status and a document by service and path."""

    def __init__(self, apis: list[str], agents: list[str], roles: list[str]) -> None:
        self.url = ""
        self.asked: list[str] = []
        project = "projects/a-project"
        deploy = "serviceAccount:dss-deploy@a-project.iam.gserviceaccount.com"
        bindings = [
            {"role": f"roles/{role}", "members": [deploy]}
            for role in (*roles, "resourcemanager.projectIamAdmin")
        ]
        for name in (agent.partition(".")[0] for agent in agents):
            member = f"serviceAccount:service-{NUMBER}@gcp-sa-{name}.iam.gserviceaccount.com"
            bindings.append({"role": f"roles/{name}.serviceAgent", "members": [member]})
        quotas = f"cloudquotas/v1/{project}/locations/global/services/run.googleapis.com/quotaInfos"
        # Two pages, so that the second is asked for.
        pages = [
            {"services": [{"config": {"name": name}} for name in apis[:3]], "nextPageToken": "more"},
            {"services": [{"config": {"name": name}} for name in apis[3:]]},
        ]
        self.answers: dict[str, Answer] = {
            f"cloudresourcemanager/v1/{project}": (
                200,
                {"projectNumber": NUMBER, "lifecycleState": "ACTIVE"},
            ),
            f"cloudresourcemanager/v1/{project}:getIamPolicy": (200, {"bindings": bindings}),
            f"cloudbilling/v1/{project}/billingInfo": (200, {"billingEnabled": True}),
            f"serviceusage/v1/{project}/services?pageToken=": (200, pages[0]),
            f"serviceusage/v1/{project}/services?pageToken=more": (200, pages[1]),
            f"{quotas}/CpuAllocPerProjectRegion": (200, self.quota(20_000)),
            f"{quotas}/MemAllocPerProjectRegion": (200, self.quota(40 * 1024**3)),
        }
        for policy in (
            "iam.allowedPolicyMemberDomains",
            "run.managed.requireInvokerIam",
            "iam.disableServiceAccountKeyCreation",
        ):
            self.answers[f"orgpolicy/v2/{project}/policies/{policy}:getEffectivePolicy"] = (200, {"spec": {}})

    @staticmethod
    def quota(value: int) -> dict[str, Any]:
        """Return what the API of quotas says of one: its value in the region, and another elsewhere."""
        return {
            "dimensionsInfos": [
                {"dimensions": {"region": "europe-west1"}, "details": {"value": "7"}},
                {"dimensions": {"region": "us-east1"}, "details": {"value": str(value)}},
            ]
        }

    def set(self, ending: str, status: int, document: dict[str, Any]) -> None:
        """Have the one path that ends so answer something else."""
        [path] = [path for path in self.answers if path.endswith(ending)]
        self.answers[path] = (status, document)

    def answer(self, path: str) -> Answer:
        """Return the answer to a request; 404 for what is not there, as for names that are free."""
        self.asked.append(path)
        place, _, query = path.partition("?")
        if place == "issuer/.well-known/openid-configuration":
            return 200, {"issuer": f"{self.url}/issuer", "jwks_uri": f"{self.url}/keys"}
        tokens = [part for part in query.split("&") if part.startswith("pageToken=")]
        key = f"{place}?{tokens[0]}" if tokens else place
        return self.answers.get(key, (404, {"error": {"message": f"{place} is not there"}}))


@contextmanager
def serving(google: FakeGoogle) -> Iterator[FakeGoogle]:
    """Serve it on a free port; its `url` says where."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, document = google.answer(self.path.lstrip("/"))
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    google.url = f"http://127.0.0.1:{server.server_address[1]}"
    with in_thread(server):
        yield google
