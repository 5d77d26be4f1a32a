"""The step of the demo for DRS."""

import hashlib
from typing import Any
from urllib.parse import urlsplit

import requests

from local.demo.steps import REPLICAS, Scene, amount, check

_PATH = "/ga4gh/drs/v1"
# The type of access method of each replica.
_TYPES = {"gcp": "gs", "aws": "s3"}
_SECONDS = 120.0
_CHUNK = 1024 * 1024


def resolve(scene: Scene) -> str:
    """Resolve the bundle by its `drs://` URI, then its largest file; read that from each cloud."""
    bundle = _object(scene, f"drs://{urlsplit(scene.env['DSS_URL']).hostname}/{scene.uuid}.{scene.version}")
    check(bundle["size"] == scene.size, f"the bundle has {bundle['size']} bytes by DRS")
    listed = len(bundle["contents"])
    check(listed == len(scene.sent), f"the bundle has {listed} files by DRS")
    rows = scene.client("gcp").bundle(scene.uuid, scene.version)["files"]
    largest = max(rows, key=lambda row: int(row["size"]))
    fqid = f"{largest['uuid']}.{largest['version']}"
    [uri] = next(item["drs_uri"] for item in bundle["contents"] if item["id"] == fqid)
    file = _object(scene, uri)
    for replica in REPLICAS:
        digest = _sha256(scene, file, _TYPES[replica])
        check(digest == largest["sha256"], f"{uri} has other bytes in {replica}: sha256 {digest}")
    return (
        f"{uri[:22]}… to {amount(file['size'])} from both clouds, sha256 right; {listed} files in the bundle"
    )


def _object(scene: Scene, uri: str) -> dict[str, Any]:
    return _get(scene, f"objects/{uri.rpartition('/')[2]}")


def _sha256(scene: Scene, file: dict[str, Any], kind: str) -> str:
    """Return the SHA-256 of the bytes behind the signed URL of an access method."""
    [access_id] = [method["access_id"] for method in file["access_methods"] if method["type"] == kind]
    url = _get(scene, f"objects/{file['id']}/access/{access_id}")["url"]
    digest = hashlib.sha256()
    with requests.get(url, stream=True, timeout=_SECONDS) as answer:
        check(answer.status_code == 200, f"{kind}: the signed URL was answered {answer.status_code}")
        for chunk in answer.iter_content(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _get(scene: Scene, path: str) -> dict[str, Any]:
    answer = requests.get(f"{scene.env['DSS_URL']}{_PATH}/{path}", timeout=_SECONDS)
    check(answer.status_code == 200, f"GET {_PATH}/{path}: {answer.status_code} {answer.text[:200]}")
    found: dict[str, Any] = answer.json()
    return found
