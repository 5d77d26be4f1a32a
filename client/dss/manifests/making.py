"""Manifests that a DSS makes of what a question to its catalogue finds."""

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from dss.api import explore, manifests
from dss.api.explore import Catalogue
from dss.api.files import SignedUrl
from dss.api.manifests import ManifestState
from dss.api.session import Session
from dss.atomic_files import replacing
from dss.clock import Deadline
from dss.errors import CallFailed, OperationFailed
from dss.progress import Phase, Progress, progress_of
from dss.transfer.saving import save_link

# The forms that the DSS makes, and what their files are called at the end.
FORMATS: Mapping[str, str] = {
    "compact": "tsv",
    "full": "tsv",
    "curl": "curlrc",
    "terra.bdbag": "zip",
    "terra.pfb": "avro",
    "verbatim.jsonl": "jsonl",
    "verbatim.pfb": "avro",
    "parquet": "parquet",
}
SECONDS = 3600.0
# The job failed, or is not known any more: another one may be started, once.
_AGAIN = (410, 500)
_SHORTEST_PAUSE = 0.2
# Of a format of a newer DSS.
_OTHER_ENDING = "manifest"


class Manifest:
    """A manifest of the files that match a question to a catalogue, which the DSS makes, or has made::

        manifest = client.manifest({"organ": "brain"}, format="compact")
        print(manifest.wait().link)
        manifest.save("brain.tsv")

    The same question again gets the same manifest, as long as nothing in the catalogue changes. It can be
    pickled.
    """

    def __init__(
        self,
        session: Session,
        filters: Mapping[str, Any],
        *,
        format: str = "compact",  # noqa: A002 (as the DSS calls it)
        catalog: str | None = None,
        words: str | None = None,
    ) -> None:
        self.format = format
        self._session = session
        self._question = (catalog, filters, words)
        self._state: ManifestState | None = None

    def __repr__(self) -> str:
        state = self._state
        return (
            f"<Manifest {self.format}: {'not asked for yet' if state is None else state.link or 'in work'}>"
        )

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue that is asked. Raises NoCatalogue."""
        return explore.catalogue(self._session, self._question[0])

    @property
    def name(self) -> str:
        """A name for a file that holds it: that of the catalogue, with the ending of the format."""
        return f"{self.catalogue.name}.{FORMATS.get(self.format, _OTHER_ENDING)}"

    @property
    def link(self) -> str:
        """A URL that serves the manifest without a token, for a while, to all who have it.

        Waits until the manifest is made. That of a manifest for curl works for days, others for an hour.
        """
        return self._made.link

    @property
    def commands(self) -> Mapping[str, str]:
        """What to type to use the manifest without a DSS client, by shell: `bash`, `cmd.exe`."""
        return self._made.commands

    def wait(self, *, seconds: float = SECONDS, progress: Progress | bool | None = None) -> "Manifest":
        """Return this manifest as soon as it is made.

        A job that failed is started once more. Raises OperationFailed if that fails, too, or if it is not
        done after so many seconds. A notebook shows how long it takes, a program does not, unless `progress`
        is False or True.
        """
        with progress_of(progress, "manifest") as shown:
            self._wait(seconds, shown.phase("make"))
        return self

    def _wait(self, seconds: float, making: Phase) -> None:
        deadline, began, restarted = Deadline(self._session.clock, seconds), time.monotonic(), False
        while not self._known.link:
            making.expect(items=self._known.files)
            making.reach(self._known.files_done, f"{time.monotonic() - began:.0f} s")
            pause = max(self._known.pause, _SHORTEST_PAUSE)
            if pause >= deadline.remaining():
                raise OperationFailed(
                    f"the manifest is not made after {seconds:.0f} s; run it again to wait on"
                )
            self._session.clock.sleep(pause)
            try:
                self._state = manifests.poll(self._session, self._known.token)
            except CallFailed as error:
                if error.status not in _AGAIN:
                    raise
                if restarted:
                    raise OperationFailed(f"the DSS can't make the manifest: {error}") from error
                restarted, self._state = True, None
        making.reach(making.items or 0)

    def save(self, to: str | Path, *, progress: Progress | bool | None = None) -> Path:
        """Write the manifest to a file, which is there as a whole or as it was; return its path::

            path = client.manifest({"organ": "brain"}, format="curl").save("brain.curlrc")

        Waits until it is made. A notebook shows bars, a program does not, unless `progress` is False or True.
        """
        path = Path(to)
        with progress_of(progress, "manifest") as shown, replacing(path) as stream:
            self.write(stream, progress=shown)
        return path

    def write(self, stream: IO[bytes], *, progress: Progress | bool | None = None) -> int:
        """Write the manifest to a stream; return how many bytes. As `save` does."""
        with progress_of(progress, "manifest") as shown:
            self.wait(progress=shown)
            return save_link(self._session, SignedUrl(self.link, self._renewed), stream, shown)

    @property
    def _made(self) -> ManifestState:
        if not self._known.link:
            self.wait()
        return self._known

    @property
    def _known(self) -> ManifestState:
        if self._state is None:
            catalog, filters, words = self.catalogue.name, *self._question[1:]
            params = explore.params_of(catalog, filters, words, format=self.format)
            self._state = manifests.begin(self._session, params)
        return self._state

    def _renewed(self) -> str:
        self._state = None
        return self.link
