"""The steps of a manifest, as its workflow calls them: work until it is over, finish; or abort.

They are steps of an attempt, see `shared.attempts`.
"""

from shared.attempts import AttemptStep, Result
from shared.catalog import JobState, ManifestJob
from shared.catalogue_manifests.making import join_pieces, make_pieces
from shared.catalogue_manifests.places import ManifestPlace
from shared.errors import Conflict
from shared.system import Dss

# After this, a call goes no further than to the next checkpoint. Cloud Workflows gives up after 1,800.
_STEP_SECONDS = 240


class ManifestStep(AttemptStep[ManifestJob]):
    """The steps of one attempt at a manifest."""

    def __init__(self, dss: Dss, job_id: str, attempt: int) -> None:
        super().__init__(dss, dss.catalog.manifests, job_id, attempt)

    def work(self) -> Result:
        """Go on with the manifest, and return `{over, files}`: whether there is nothing left to write."""
        with self._working() as over:
            if over or self._job.over:
                return {"over": True, "files": self._job.files_done}
            job = make_pieces(self._dss, self._job, seconds=_STEP_SECONDS) or self._reloaded()
            return {"over": job.over or job.state is not JobState.RUNNING, "files": job.files_done}

    def finish(self) -> Result:
        """Join the pieces, end the attempt as succeeded, and return the job's `{state}`."""
        with self._working() as over:
            if not over:
                if not self._job.over:
                    raise Conflict(f"manifest {self._job.id} is not written to its end")
                key = join_pieces(self._dss, self._job)
                self._dss.faults.reach("manifest: joined")
                self._dss.catalog.manifests.succeed(self._job, key)
                ManifestPlace(self._dss, self._job.id).remove(self._job.pieces)
            return {"state": self._reloaded().state.value}

    def abort(self, cause: str) -> Result:
        """End the attempt as failed, with the last noted error or else with `cause`."""
        if self._is_running():
            code = self._job.code or "manifest_error"
            self._catalog.end(self._job, JobState.FAILED, code=code, cause=self._job.cause or cause)
        return {"state": self._reloaded().state.value}
