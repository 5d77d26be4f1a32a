"""The JSON API of buckets and their notification configurations."""

from itertools import islice

from gcs_server.buckets import Buckets
from gcs_server.errors import BadRequest
from gcs_server.listing import page_token, position_of
from gcs_server.notifications import Notifications
from gcs_server.resources import Json
from gcs_server.routing import Call, Route
from gcs_server.wire import Response

_PAGE_LIMIT = 1000
_ROOT = "/storage/v1/b"
_CONFIGS = _ROOT + "/{bucket}/notificationConfigs"


class BucketRoutes:
    """Handlers of everything that is about a bucket as a whole."""

    def __init__(self, buckets: Buckets, notifications: Notifications, address: str, project: str) -> None:
        self._buckets = buckets
        self._notifications = notifications
        self._address = address
        self._project = project

    def routes(self) -> list[Route]:
        """The routes, for the router."""
        one = _ROOT + "/{bucket}"
        listing = ("project", "prefix", "maxResults", "pageToken", "projection")
        return [
            Route("POST", _ROOT, self.create, ("project", "projection")),
            Route("GET", _ROOT, self.list, listing),
            Route("GET", one, self.get, ("projection",)),
            Route("DELETE", one, self.delete),
            Route("GET", one + "/iam/testPermissions", self.test_permissions, ("permissions",)),
            Route("POST", _CONFIGS, self.create_config),
            Route("GET", _CONFIGS, self.list_configs),
            Route("GET", _CONFIGS + "/{id}", self.get_config),
            Route("DELETE", _CONFIGS + "/{id}", self.delete_config),
        ]

    def create(self, call: Call) -> Response:
        """POST /b"""
        _check_projection(call)
        bucket = self._buckets.create(call.json(), call.text("project", self._project))
        return call.answer(bucket.resource(self._address))

    def get(self, call: Call) -> Response:
        """GET /b/{bucket}"""
        _check_projection(call)
        return call.answer(self._buckets.get(call.path["bucket"]).resource(self._address))

    def list(self, call: Call) -> Response:
        """GET /b"""
        _check_projection(call)
        limit = min(call.number("maxResults") or _PAGE_LIMIT, _PAGE_LIMIT)
        project = call.text("project", self._project)
        found = self._buckets.of_project(project, call.text("prefix"), position_of(call.text("pageToken")))
        page = list(islice(found, limit + 1))
        answer: Json = {"kind": "storage#buckets"}
        if page:
            answer["items"] = [bucket.resource(self._address) for bucket in page[:limit]]
        if len(page) > limit:
            answer["nextPageToken"] = page_token(page[limit - 1].name)
        return call.answer(answer)

    def delete(self, call: Call) -> Response:
        """DELETE /b/{bucket}"""
        self._buckets.delete(call.path["bucket"])
        return Response(204)

    def test_permissions(self, call: Call) -> Response:
        """GET /b/{bucket}/iam/testPermissions"""
        asked = call.values.get("permissions", [])
        if not asked:
            raise BadRequest("Required parameter: permissions")
        answer: Json = {"kind": "storage#testIamPermissionsResponse"}
        if granted := self._buckets.granted(call.path["bucket"], asked):
            answer["permissions"] = granted
        return call.answer(answer)

    def create_config(self, call: Call) -> Response:
        """POST /b/{bucket}/notificationConfigs"""
        return call.answer(self._notifications.create(call.path["bucket"], call.json()))

    def list_configs(self, call: Call) -> Response:
        """GET /b/{bucket}/notificationConfigs"""
        answer: Json = {"kind": "storage#notifications"}
        if configs := self._notifications.of_bucket(call.path["bucket"]):
            answer["items"] = configs
        return call.answer(answer)

    def get_config(self, call: Call) -> Response:
        """GET /b/{bucket}/notificationConfigs/{id}"""
        return call.answer(self._notifications.get(call.path["bucket"], call.path["id"]))

    def delete_config(self, call: Call) -> Response:
        """DELETE /b/{bucket}/notificationConfigs/{id}"""
        self._notifications.delete(call.path["bucket"], call.path["id"])
        return Response(204)


def _check_projection(call: Call) -> None:
    # Without access control lists, both projections show the same.
    call.choice("projection", "noAcl", "full")
