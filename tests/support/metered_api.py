"""An API process with proxies before its back ends, which show what a call asks and costs."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import grpc
from google.cloud.firestore_v1 import types

from local.api import ApiProcess, api_process
from tests.support.api import Api
from tests.support.firestore_proxy import FirestoreCall, FirestoreProxy
from tests.support.http_proxy import Exchange, HttpProxy


@dataclass(frozen=True, kw_only=True)
class Bill:
    """The operations that the clouds would bill.

    `requests` are those to Firestore, where a batch of any size is one; `checks` are writes that change
    nothing but make their commit fail if a document exists.
    """

    object_operations: int = 0
    reads: int = 0
    writes: int = 0
    checks: int = 0
    requests: int = 0


class Usage:
    """The traffic during a `with` block; complete at its end."""

    def __init__(self) -> None:
        self.operations: list[Exchange] = []
        self.calls: list[FirestoreCall] = []

    @property
    def bill(self) -> Bill:
        """The sums. Fails if a call to Firestore failed, because its price is not known."""
        well = {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        assert {call.code for call in self.calls} <= well, self.calls
        return Bill(
            object_operations=len(self.operations),
            reads=sum(call.reads for call in self.calls),
            writes=sum(call.writes for call in self.calls),
            checks=sum(call.checks for call in self.calls),
            requests=len(self.calls),
        )

    @property
    def bytes_moved(self) -> int:
        """The bytes of all bodies between the API and the object stores."""
        return sum(one.sent + one.received for one in self.operations)

    @property
    def queries(self) -> list[types.StructuredQuery]:
        """All queries to Firestore."""
        return [query for call in self.calls for query in call.queries]


@dataclass(frozen=True, kw_only=True)
class MeteredApi:
    """The API process, its clients as a writer and as an admin, and the proxies of its back ends.

    `elsewhere` would receive any request to other hosts.
    """

    process: ApiProcess
    api: Api
    admin: Api
    gcs: HttpProxy
    s3: HttpProxy
    firestore: FirestoreProxy
    elsewhere: HttpProxy

    @contextlib.contextmanager
    def usage(self) -> Iterator[Usage]:
        """Record the traffic of the API within the block."""
        for proxy in (self.gcs, self.s3, self.firestore, self.elsewhere):
            proxy.forget()
        usage = Usage()
        yield usage
        usage.operations = [*self.gcs.exchanges, *self.s3.exchanges, *self.elsewhere.exchanges]
        usage.calls = list(self.firestore.calls)
        assert all(call.ended.wait(timeout=60) for call in usage.calls), usage.calls


@contextlib.contextmanager
def metered_api(env: Mapping[str, str]) -> Iterator[MeteredApi]:
    """Run a further API against a running system, with a proxy before each of its back ends."""
    with (
        HttpProxy(env["STORAGE_EMULATOR_HOST"]) as gcs,
        HttpProxy(env["AWS_ENDPOINT_URL"]) as s3,
        FirestoreProxy(env["FIRESTORE_EMULATOR_HOST"]) as firestore,
        HttpProxy() as elsewhere,
        api_process(
            env,
            {
                "STORAGE_EMULATOR_HOST": gcs.url,
                "AWS_ENDPOINT_URL": s3.url,
                "FIRESTORE_EMULATOR_HOST": firestore.address,
                "HTTP_PROXY": elsewhere.url,
                "HTTPS_PROXY": elsewhere.url,
            },
        ) as process,
    ):
        yield MeteredApi(
            process=process,
            api=Api(process.url, env["DSS_TOKEN"]),
            admin=Api(process.url, env["DSS_ADMIN_TOKEN"]),
            gcs=gcs,
            s3=s3,
            firestore=firestore,
            elsewhere=elsewhere,
        )
