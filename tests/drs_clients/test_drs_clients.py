"""Clients of DRS that people use find, fetch and verify what is here: getm, terra-notebook-utils, Gen3's SDK,
and the compliance suite of the GA4GH.

Left out unless `-m clients` asks; `make test-clients` installs them.
"""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.api import api_process
from run.drs.document import DRS_PATH
from tests.support.api import Api, Version, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs
from tests.support.drs_tools import DrsTools, ToolFailed
from tests.support.drshub import AccessMethodConfig, DrsHub, Provider
from tests.support.tls_front import TlsFront, tls_front

pytestmark = [pytest.mark.clients, pytest.mark.timeout(900)]

SCHEMES = {"gcp": "gs", "aws": "s3"}
MIB = 1024 * 1024
HOST = "dss.example.org"
# Above the size from which they fetch ranges, 1 MiB.
CONTENT = random.Random(3).randbytes(3 * MIB + 5)


@pytest.fixture(scope="module")
def env(stack: dict[str, str]) -> dict[str, str]:
    return stack


@pytest.fixture(scope="module")
def public(env: dict[str, str]) -> Iterator[Api]:
    """An API that knows itself by a name of the internet."""
    with api_process(env, {"DSS_PUBLIC_URL": f"https://{HOST}"}) as process:
        yield Api(process.url, env["DSS_TOKEN"])


@pytest.fixture(scope="module")
def front(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsFront]:
    """TLS before the API, for who speaks nothing else."""
    with tls_front(tmp_path_factory.mktemp("tls")) as front:
        front.towards(env["DSS_URL"])
        yield front


@pytest.fixture
def file(api: Api, clouds: Clouds, replica: str) -> Version:
    return put_file(api, clouds.stage(replica, CONTENT, content_type="application/x-hdf5"))


def downloaded(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("kind", ["md5", "gs_crc32c"])
def test_getm_fetches_by_signed_urls_and_verifies(
    env: dict[str, str], api: Api, file: Version, replica: str, kind: str, tmp_path: Path
) -> None:
    drs = Drs(api)
    access_id = drs.method(file, SCHEMES[replica])["access_id"]
    url = drs.get(f"/objects/{file}/access/{access_id}").json()["url"]
    sums = {one["type"]: one["checksum"] for one in drs.object(file)["checksums"]}
    # As Cromwell hands it on.
    crc32c = base64.b64encode(bytes.fromhex(sums["crc32c"])).decode()
    checksum = {"md5": sums["md5"], "gs_crc32c": crc32c}[kind]
    good, bad = tmp_path / "good", tmp_path / "bad"
    rows = [
        {"url": url, "checksum": text, "checksum-algorithm": kind, "filepath": str(target)}
        for text, target in ((checksum, good), (checksum[::-1], bad))
    ]
    for row in rows:
        (tmp_path / "manifest.json").write_text(json.dumps([row]))
        # It ends with 0 in any case, and writes nothing that is wrong.
        DrsTools(tmp_path, env).run("getm", "--manifest", tmp_path / "manifest.json")

    assert good.read_bytes() == CONTENT
    assert not bad.exists()


TERRA = """
import json, sys
from terra_notebook_utils import drs
uri, drs.DRS_RESOLVER_URL, token, target = sys.argv[1:]
drs.get_terra_access_token = lambda: token
drs.copy(uri, target)
info = drs.info(uri)
print(json.dumps([info["name"], info["size"], info["checksums"], drs.head(uri, 7).hex(), drs.access(uri)]))
"""


def test_terra_notebook_utils_copies_and_verifies(
    env: dict[str, str], api: Api, public: Api, clouds: Clouds, file: Version, replica: str, tmp_path: Path
) -> None:
    # It refuses what is not in Google's cloud, as every file is some seconds after its PUT.
    put_file(api, clouds.stage("gcp", CONTENT, content_type="application/x-hdf5"), file=file, status=200)
    methods = (AccessMethodConfig(type=SCHEMES[replica]),)
    provider = Provider(name="DSS", host_regex=r"dss\.example\.org", methods=methods)
    hub = DrsHub([provider], {HOST: public.url})
    target = tmp_path / "copy"
    with hub.serving() as url:
        arguments = (f"drs://{HOST}/{file}", url, env["DSS_TOKEN"], target)
        name, size, checksums, head, access = DrsTools(tmp_path, env).python(TERRA, *arguments)

    assert target.read_bytes() == CONTENT
    assert (size, head) == (len(CONTENT), CONTENT[:7].hex())
    assert name == file.uuid
    assert {"md5", "crc32c", "sha-256"} <= set(checksums)
    assert access.startswith("http")
    assert any(path.endswith(f"/access/{SCHEMES[replica]}.{replica}") for _, path, _ in hub.calls)


def pulled(tools: DrsTools, front: TlsFront, env: dict[str, str], what: Version) -> dict[str, bytes]:
    host = front.url.removeprefix("https://")
    common = ("--auth", f"accesstoken:///{env['DSS_TOKEN']}", "--endpoint", host, "--commons_url", host)
    target = tools.home / "out"
    tools.run("gen3", *common, "drs-pull", "object", what, "--output-dir", target)
    return downloaded(target)


def test_gen3_pulls_a_file(env: dict[str, str], front: TlsFront, file: Version, tmp_path: Path) -> None:
    tools = DrsTools(tmp_path, env, front.certificate)

    assert pulled(tools, front, env, file) == {file.uuid: CONTENT}


def test_gen3_pulls_a_bundle_and_then_stumbles_over_its_own_report(
    env: dict[str, str], front: TlsFront, api: Api, file: Version, replica: str, tmp_path: Path
) -> None:
    bundle = put_bundle(api, replica, [file.named("data/a.h5")])
    tools = DrsTools(tmp_path, env, front.certificate)

    # It takes the status of the bundle, a dictionary of its files, for that of a file.
    with pytest.raises(ToolFailed, match="'dict' object has no attribute 'status'"):
        pulled(tools, front, env, bundle)
    assert downloaded(tmp_path / "out") == {f"{bundle.uuid}/{file.uuid}": CONTENT}


# Its wheel lacks a module, which has but this list.
SUITE = """
import json, sys, types
versions = sys.modules["supported_drs_versions"] = types.ModuleType("supported_drs_versions")
versions.SUPPORTED_DRS_VERSIONS = ["1.2.0"]
from compliance_suite.report_runner import report_runner
url, config = sys.argv[1:]
report = json.loads(report_runner(url, "DSS", "", "1.2.0", config).to_json())
tests = [test for phase in report["phases"] for test in phase["tests"]]
rows = [(case["case_name"], case["status"], case["message"]) for test in tests for case in test["cases"]]
print(json.dumps(rows))
"""


def test_the_compliance_suite_fails_the_schema_of_service_info_alone(
    env: dict[str, str], api: Api, file: Version, replica: str, tmp_path: Path
) -> None:
    """It knows DRS 1.2, in which service-info has no `maxBulkRequestLength`; 1.4 requires it."""
    bundle = put_bundle(api, replica, [file.named("data/a.h5"), file.named("b.h5")])
    collection = put_collection(api, replica, [bundle.linked("bundle")])
    nobody = {"auth_type": "none", "auth_token": ""}
    objects = [
        {**nobody, "drs_id": str(file), "is_bundle": False},
        {**nobody, "drs_id": str(bundle), "is_bundle": True},
        {"auth_type": "bearer", "auth_token": api.token, "drs_id": str(collection), "is_bundle": True},
    ]
    config = {"service_info": nobody, "drs_object_info": objects, "drs_object_access": objects[:1]}
    (tmp_path / "config.json").write_text(json.dumps(config))

    cases = DrsTools(tmp_path, env).python(SUITE, f"{api.url}{DRS_PATH}", tmp_path / "config.json")

    [(name, _, message)] = [case for case in cases if case[1] not in ("PASS", "SKIP")]
    assert name == "Service Info response schema validation"
    assert "'drs', 'maxBulkRequestLength' were unexpected" in message
    # Each object, and the access methods of the file.
    assert len(cases) >= 3 + 5 + 6 + 6 + 3 * 2
