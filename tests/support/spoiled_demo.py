"""The demo with a further step that corrupts data: `python -m tests.support.spoiled_demo DIRECTORY WHAT`.

WHAT is `gcp` or `aws` for a blob in that cloud, or `source` for a file of the directory between its checksum
and its upload.
"""

import sys
from pathlib import Path

from local.demo import command as demo
from local.demo.program import STEPS
from local.demo.steps import Scene, Step
from shared.checksums import CHECKSUM_NAMES, Checksums
from tests.support.clouds import Clouds


def spoil_source(scene: Scene) -> str:
    path = scene.directory / sorted(scene.sent)[0]
    path.write_bytes(path.read_bytes()[::-1])
    return "a file changed"


def spoil_blob(scene: Scene, replica: str) -> str:
    row = scene.client(replica).bundle(scene.uuid)["files"][0]
    key = Checksums(**{name: row[name] for name in CHECKSUM_NAMES}).blob_key
    clouds = Clouds(scene.env)
    data = clouds.read(replica, key)[::-1]
    if replica == "gcp":
        clouds.gcs.bucket(clouds.main[replica]).blob(key).upload_from_string(data)
    else:
        clouds.s3.put_object(Bucket=clouds.main[replica], Key=key, Body=data)
    return f"{row['name']} changed in {replica}"


def spoiled(what: str) -> list[Step]:
    if what == "source":
        return [STEPS[0], Step("spoil", spoil_source), *STEPS[1:]]
    place = next(number for number, step in enumerate(STEPS) if step.title.startswith("read back"))
    return [*STEPS[:place], Step("spoil", lambda scene: spoil_blob(scene, what)), *STEPS[place:]]


if __name__ == "__main__":
    sys.exit(demo.run(Path(sys.argv[1]), spoiled(sys.argv[2])))
