"""Save what a link serves, of which nobody has said how long it is, or what its checksum is."""

from typing import IO

from dss.api.files import SignedUrl
from dss.api.session import Session
from dss.progress import Progress
from dss.transfer.fetching import Content, RangeReader
from dss.transfer.ranges import ByteRange


def save_link(session: Session, source: SignedUrl, stream: IO[bytes], progress: Progress) -> int:
    """Write what a link serves to a stream, complete; return how many bytes.

    A connection that breaks is resumed where it broke, and a link that expires is renewed. Raises CallFailed,
    Unreachable, or WrongContent if the length changed meanwhile.
    """
    reader = RangeReader(session.transport)
    size = reader.size_of(source)
    phase = progress.phase("save", items=1, size=size, unit="manifests")

    def sink(position: int, data: bytes) -> None:
        del position  # they come in order
        stream.write(data)
        phase.advance(size=len(data))

    reader.read(Content(source=source, size=size, sha256=""), ByteRange(0, size), sink)
    phase.advance(items=1)
    return size
