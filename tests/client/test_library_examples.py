"""The examples in the docstrings of `dss.Client` run, in order, against the whole system."""

import inspect
import json
import os
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

import dss
from dss.api.checkouts import Checkout
from dss.client import Client
from dss.explore.entities import Entities
from dss.listing import BundleFiles
from dss.manifests.making import Manifest
from dss.methods.collections import CollectionMethods
from dss.methods.finding import FindingMethods
from dss.methods.manifests import ManifestMethods
from dss.methods.subscriptions import SubscriptionMethods
from dss.methods.terra import TerraMethods
from local.source_tree import ROOT
from tests.support.clouds import Clouds
from tests.support.subscriber import subscriber
from tests.support.waiting import wait_until

# After a line that ends with `::` and an empty line: lines that are indented as the first, or more.
_BLOCK = re.compile(r"::\n\n(( *).+\n(?:\2.*\n|\n)*)")
# Those that another one's example shows.
_SHOWN_ELSEWHERE = {"put_collection": "collection", "wait_for_file": "put_file"}
_OWNERS = (Client, CollectionMethods, FindingMethods, ManifestMethods, SubscriptionMethods, TerraMethods)


def _methods() -> Iterator[tuple[str, Any]]:
    """Yield the public methods of a client in the order of the source."""
    for owner in _OWNERS:
        for name, value in vars(owner).items():
            if inspect.isfunction(value) and not name.startswith("_"):
                yield name, value


def _examples(documented: Any) -> list[str]:
    text = f"{inspect.getdoc(documented)}\n"
    return [textwrap.dedent(block) for block, _ in _BLOCK.findall(text)]


def test_every_method_has_an_example() -> None:
    bare = {name for name, method in _methods() if not _examples(method)}

    assert bare == set(_SHOWN_ELSEWHERE)
    shown = {name: "".join(_examples(getattr(Client, other))) for name, other in _SHOWN_ELSEWHERE.items()}
    assert all(f"client.{name}(" in text for name, text in shown.items())


@pytest.fixture
def names(
    whole_system: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """What the examples take for granted: a client, a bundle, and so on."""
    monkeypatch.chdir(tmp_path)
    for name, value in whole_system.items():
        monkeypatch.setenv(name, value)
    key_file = whole_system["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"]
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", key_file)
    shutil.copytree(ROOT / "local" / "sample", "my/data")
    # The demo makes it, large; without it the catalogue refuses the bundle.
    Path("my/data/cortex_S1_L001_R2_001.fastq.gz").write_bytes(b"reads")
    client = Client(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])
    uuid = client.upload("my/data").uuid
    wait_until(lambda: client.explore("files", {"bundleUuid": uuid}).total, "it is in the catalogue")
    with subscriber() as hook:
        yield {
            "admin": Client(whole_system["DSS_URL"], whole_system["DSS_ADMIN_TOKEN"]),
            "client": client,
            "dss": dss,
            "hook_url": hook.url("/ok"),
            "json": json,
            "requests": requests,
            "staged_url": Clouds(whole_system).stage("gcp", b"bytes"),
            "token": whole_system["DSS_TOKEN"],
            "unwanted": client.upload("my/data", state="unwanted").uuid,
            "uuid": uuid,
            "uuid4": uuid4,
        }


def test_the_examples_run(names: dict[str, Any]) -> None:
    here = {
        "https://dss.example.org": names["client"].url,
        "https://example.org/hook": names["hook_url"],
        "gs://my-bucket": f"gs://{os.environ['DSS_GS_STAGING_BUCKET']}",
    }
    classes = [(kind.__name__, kind) for kind in (BundleFiles, Checkout, Client, Entities, Manifest)]
    methods = [(name, getattr(Entities, name)) for name in ("facets", "summary")]
    methods.append(("save", Manifest.save))
    for name, documented in [*_methods(), *classes, *methods]:
        for example in _examples(documented):
            for written, real in here.items():
                example = example.replace(written, real)
            exec(compile(example, f"<example of {name}>", "exec"), names)  # the examples are ours

    assert names["links"]["links"], "the example of `open` has read links.json"
