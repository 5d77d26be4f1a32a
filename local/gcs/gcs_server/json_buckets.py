"""The JSON API of buckets and their notification configurations."""

from itertools import islice

from gcs_server.buckets import Buckets
from gcs_server.errors import BadRequest, Unsupported
from gcs_server.listing import page_token, position_of
from gcs_server.notifications import Notifications
from gcs_server.resources import Json
from gcs_server.routing import Route, RoutedRequest
from gcs_server.wire import Response

_PAGE_LIMIT = 1000
_ROOT = "/storage/v1/b"
_CONFIGS = _ROOT + "/{bucket}/notificationConfigs"


class BucketRoutes:
    """Handlers for buckets, but not their objects."""

    def __init__(self, buckets: Buckets, notifications: Notifications, project: str) -> None:
        self._buckets = buckets
        self._notifications = notifications
        self._project = project

    def routes(self) -> list[Route]:
        """Return the routes, for the router."""
        one = _ROOT + "/{bucket}"
        listing = ("project", "prefix", "maxResults", "pageToken", "projection")
        return [
            Route("POST", _ROOT, self.create, ("project", "projection", "enableObjectRetention")),
            Route("GET", _ROOT, self.list, listing),
            Route("GET", one, self.get, ("projection",)),
            Route("DELETE", one, self.delete),
            Route("GET", one + "/iam/testPermissions", self.test_permissions, ("permissions",)),
            Route("POST", _CONFIGS, self.create_config),
            Route("GET", _CONFIGS, self.list_configs),
            Route("GET", _CONFIGS + "/{id}", self.get_config),
            Route("DELETE", _CONFIGS + "/{id}", self.delete_config),
        ]

    def create(self, routed: RoutedRequest) -> Response:
        """POST /b"""
        _check_projection(routed)
        if routed.flag("enableObjectRetention"):
            raise Unsupported("enableObjectRetention=true is not served")
        bucket = self._buckets.create(routed.json(), routed.text("project", self._project))
        return routed.answer(bucket.resource(routed.address))

    def get(self, routed: RoutedRequest) -> Response:
        """GET /b/{bucket}"""
        _check_projection(routed)
        return routed.answer(self._buckets.get(routed.path["bucket"]).resource(routed.address))

    def list(self, routed: RoutedRequest) -> Response:
        """GET /b"""
        _check_projection(routed)
        limit = min(routed.number("maxResults") or _PAGE_LIMIT, _PAGE_LIMIT)
        project = routed.text("project", self._project)
        found = self._buckets.of_project(
            project, routed.text("prefix"), position_of(routed.text("pageToken"))
        )
        page = list(islice(found, limit + 1))
        answer: Json = {"kind": "storage#buckets"}
        if page:
            answer["items"] = [bucket.resource(routed.address) for bucket in page[:limit]]
        if len(page) > limit:
            answer["nextPageToken"] = page_token(page[limit - 1].name)
        return routed.answer(answer)

    def delete(self, routed: RoutedRequest) -> Response:
        """DELETE /b/{bucket}"""
        self._buckets.delete(routed.path["bucket"])
        return Response(204)

    def test_permissions(self, routed: RoutedRequest) -> Response:
        """GET /b/{bucket}/iam/testPermissions"""
        asked = routed.values.get("permissions", [])
        if not asked:
            raise BadRequest("Required parameter: permissions")
        answer: Json = {"kind": "storage#testIamPermissionsResponse"}
        if granted := self._buckets.granted(routed.path["bucket"], asked):
            answer["permissions"] = granted
        return routed.answer(answer)

    def create_config(self, routed: RoutedRequest) -> Response:
        """POST /b/{bucket}/notificationConfigs"""
        return routed.answer(self._notifications.create(routed.path["bucket"], routed.json()))

    def list_configs(self, routed: RoutedRequest) -> Response:
        """GET /b/{bucket}/notificationConfigs"""
        answer: Json = {"kind": "storage#notifications"}
        if configs := self._notifications.of_bucket(routed.path["bucket"]):
            answer["items"] = configs
        return routed.answer(answer)

    def get_config(self, routed: RoutedRequest) -> Response:
        """GET /b/{bucket}/notificationConfigs/{id}"""
        return routed.answer(self._notifications.get(routed.path["bucket"], routed.path["id"]))

    def delete_config(self, routed: RoutedRequest) -> Response:
        """DELETE /b/{bucket}/notificationConfigs/{id}"""
        self._notifications.delete(routed.path["bucket"], routed.path["id"])
        return Response(204)


def _check_projection(routed: RoutedRequest) -> None:
    # Without access control lists, both projections are the same.
    routed.choice("projection", "noAcl", "full")
