"""A function whose requests to object stores and Firestore are counted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from shared.messages import ObjectEvent
from tests.support.firestore_proxy import FirestoreProxy
from tests.support.function_process import FunctionProcess, function_process
from tests.support.http_proxy import HttpProxy


@dataclass(frozen=True)
class Metered:
    """A function, as a process, and proxies that count what it asks for."""

    process: FunctionProcess
    stores: dict[str, HttpProxy]
    firestore: FirestoreProxy

    def cost_of(self, *events: dict[str, str]) -> dict[str, int]:
        """Return how many requests each back end had for object events that are pushed at once."""
        # It reads the switches of operators every two seconds: now.
        self.process.push(ObjectEvent(replica="gcp", bucket="none", key="none").attributes)
        self.firestore.forget()
        for proxy in self.stores.values():
            proxy.forget()
        with ThreadPoolExecutor(len(events)) as threads:
            answers = list(threads.map(self.process.push, events))
        assert [answer.status_code for answer in answers] == [204] * len(events), answers[0].text
        calls = list(self.firestore.calls)
        assert all(call.ended.wait(timeout=10) for call in calls)
        return {
            **{name: len(proxy.exchanges) for name, proxy in self.stores.items()},
            "firestore": len(calls),
        }


@contextmanager
def metered(name: str, stack: dict[str, str]) -> Iterator[Metered]:
    """Run a function against a running stack, and count its requests."""
    with (
        HttpProxy(stack["STORAGE_EMULATOR_HOST"]) as gcs,
        HttpProxy(stack["AWS_ENDPOINT_URL"]) as s3,
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as firestore,
        function_process(
            name,
            {
                **stack,
                "STORAGE_EMULATOR_HOST": gcs.url,
                "AWS_ENDPOINT_URL": s3.url,
                "FIRESTORE_EMULATOR_HOST": firestore.address,
            },
        ) as process,
    ):
        yield Metered(process, {"gcp": gcs, "aws": s3}, firestore)
