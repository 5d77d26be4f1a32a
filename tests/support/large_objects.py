"""Source objects that do not fit into memory, and the peak memory of processes."""

import random
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from shared.checksums import CHECKSUM_NAMES, MIB, ChecksumCalculator, Checksums, part_size
from tests.support.api import new_uuid
from tests.support.clouds import SCHEMES, Clouds

# Settings of an API without workflows, whose requests verify large files too.
VERIFIES_INLINE = {"DSS_INLINE_VERIFY_BYTES": str(128 * MIB)}


def write_numbered_blocks(path: Path, size: int, *, seed: str = "") -> Checksums:
    """Write a file of `size` bytes, each MiB different, by the seed; return its checksums."""
    noise = random.Random(f"{size} {seed}").randbytes(MIB)
    calculator = ChecksumCalculator(size)
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            block = (start.to_bytes(8, "big") + noise)[: min(MIB, size - start)]
            calculator.update(block)
            file.write(block)
    return calculator.result()


def stage_large(clouds: Clouds, replica: str, path: Path, checksums: Checksums) -> str:
    """Upload a file as a source object, as labs' tools do; return its URL."""
    bucket, key = clouds.staging[replica], f"{new_uuid()}/large"
    metadata = {f"dss-{name}": getattr(checksums, name) for name in CHECKSUM_NAMES}
    if replica == "gcp":
        blob = clouds.gcs.bucket(bucket).blob(key)
        blob.metadata = metadata
        blob.upload_from_filename(str(path))
    else:
        part = part_size(path.stat().st_size)
        config = TransferConfig(multipart_threshold=part, multipart_chunksize=part, max_concurrency=2)
        clouds.s3.upload_file(str(path), bucket, key, ExtraArgs={"Metadata": metadata}, Config=config)
    return f"{SCHEMES[replica]}://{bucket}/{key}"


def peak_memory(pid: int) -> int:
    """Return the sum of the peak memory of a process and its descendants, in bytes. Linux only."""
    own = Path(f"/proc/{pid}/status").read_text()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (peak,) = [line.split()[1] for line in own.splitlines() if line.startswith("VmHWM")]
    return int(peak) * 1024 + sum(peak_memory(int(child)) for child in children)
