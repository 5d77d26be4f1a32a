"""Checks that ask Google Cloud, by its REST APIs, with the credentials of who runs them."""

from collections.abc import Callable, Iterator

from dss.errors import OperationFailed
from run.admin.google_apis import GoogleApis, message_of
from run.deploy.configuration import GCS_BUCKETS, Configuration
from run.deploy.findings import Finding, ok, unknown, warning, wrong
from run.deploy.offline import check_instances

_BOOTSTRAP = 'Apply terraform/bootstrap/ (docs/deploy.md, "Once").'
# Organisation policies that keep a deployment from working, and what is open if they do.
_POLICIES = {
    "iam.allowedPolicyMemberDomains": (
        "members of grants are limited to some domains",
        "Make an exception for this project: function s3-events is open to allUsers, as SNS has no identity.",
    ),
    "run.managed.requireInvokerIam": (
        "Cloud Run must check its callers",
        "Make an exception for this project: the API authenticates its callers itself.",
    ),
}
_SIGNING_KEYS = "iam.disableServiceAccountKeyCreation"
MIB = 1024 * 1024


class GoogleChecks:
    """The checks of one project."""

    def __init__(self, apis: GoogleApis, configuration: Configuration) -> None:
        self._apis = apis
        self._configuration = configuration
        self._project = configuration.project
        self._number = ""

    def run(self) -> Iterator[Finding]:
        """Yield all findings; a check that could not be made is one, too."""
        yield from self._guarded("project", self._check_project)
        if not self._number:
            return
        for name, check in (
            ("billing", self._check_billing),
            ("apis", self._check_apis),
            ("accounts", self._check_accounts),
            ("quota", self._check_quota),
            ("policies", self._check_policies),
            ("firestore", self._check_firestore),
            ("buckets", self._check_buckets),
        ):
            yield from self._guarded(name, check)

    def _guarded(self, name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
        try:
            yield from check()
        except OperationFailed as error:
            yield unknown(
                name, str(error), "Sign in (`gcloud auth application-default login`), and check again."
            )

    def _check_project(self) -> Iterator[Finding]:
        status, document = self._apis.ask("cloudresourcemanager", f"v1/projects/{self._project}")
        if status != 200 or document.get("lifecycleState", "ACTIVE") != "ACTIVE":
            says = f"{self._project}: {status}: {message_of(document)}"
            yield wrong("project", says, "Make the project, or ask its owner for a role in it.")
            return
        self._number = str(document["projectNumber"])
        yield ok("project", f"{self._project}, number {self._number}")

    def _check_billing(self) -> Iterator[Finding]:
        status, document = self._apis.ask("cloudbilling", f"v1/projects/{self._project}/billingInfo")
        if status != 200:
            yield unknown("billing", message_of(document))
        elif document.get("billingEnabled"):
            yield ok("billing", "on")
        else:
            yield wrong(
                "billing", "the project has no billing account", "Link one in the console, under Billing."
            )

    def _check_apis(self) -> Iterator[Finding]:
        enabled: set[str] = set()
        token = ""
        while True:
            path = f"v1/projects/{self._project}/services?filter=state:ENABLED&pageSize=200&pageToken={token}"
            status, document = self._apis.ask("serviceusage", path)
            if status != 200:
                yield unknown(
                    "apis", message_of(document), "Enable serviceusage.googleapis.com, and check again."
                )
                return
            enabled |= {row["config"]["name"] for row in document.get("services", [])}
            token = document.get("nextPageToken", "")
            if not token:
                break
        missing = sorted(set(self._configuration.apis) - enabled)
        if missing:
            yield wrong("apis", f"not enabled: {', '.join(missing)}", _BOOTSTRAP)
        else:
            yield ok("apis", f"all {len(self._configuration.apis)} are enabled")

    def _check_accounts(self) -> Iterator[Finding]:
        body = {"options": {"requestedPolicyVersion": 3}}
        status, policy = self._apis.ask(
            "cloudresourcemanager", f"v1/projects/{self._project}:getIamPolicy", body
        )
        if status != 200:
            yield unknown(
                "accounts", message_of(policy), "Ask for roles/iam.securityReviewer, and check again."
            )
            return
        held: dict[str, set[str]] = {}
        for binding in policy.get("bindings", []):
            for member in binding.get("members", []):
                held.setdefault(member, set()).add(binding["role"].removeprefix("roles/"))
        for service in self._configuration.agents:
            name = service.partition(".")[0]
            member = f"serviceAccount:service-{self._number}@gcp-sa-{name}.iam.gserviceaccount.com"
            if member not in held:
                yield wrong("accounts", f"Google's account of {name} is not there", _BOOTSTRAP)
        deploy = f"serviceAccount:dss-deploy@{self._project}.iam.gserviceaccount.com"
        needed = {*self._configuration.deploy_roles, "resourcemanager.projectIamAdmin"}
        missing = sorted(needed - held.get(deploy, set()))
        if missing:
            yield wrong("accounts", f"dss-deploy lacks {', '.join(missing)}", _BOOTSTRAP)
        else:
            yield ok("accounts", "dss-deploy has its roles")
        too_much = sorted({"owner", "editor"} & held.get(deploy, set()))
        if too_much:
            yield warning(
                "accounts", f"dss-deploy is {too_much[0]}", "Remove that: it can do all it needs without."
            )

    def _check_quota(self) -> Iterator[Finding]:
        cpu = self._quota("CpuAllocPerProjectRegion")
        memory = self._quota("MemAllocPerProjectRegion")
        if cpu is None or memory is None:
            yield unknown(
                "quota", "the quota of Cloud Run can't be read", "Enable cloudquotas.googleapis.com."
            )
            yield from check_instances(self._configuration)
            return
        # Cloud Run counts thousandths of a vCPU, and bytes.
        yield ok(
            "quota",
            f"{cpu / 1000:,.0f} vCPU and {memory / MIB / 1024:,.0f} GiB in {self._configuration.region}",
        )
        yield from check_instances(self._configuration, cpu / 1000, memory / MIB, known=True)

    def _quota(self, name: str) -> int | None:
        place = f"v1/projects/{self._project}/locations/global/services/run.googleapis.com/quotaInfos/{name}"
        status, document = self._apis.ask("cloudquotas", place)
        if status != 200:
            return None
        region = self._configuration.region
        for row in document.get("dimensionsInfos", []):
            if row.get("dimensions", {}).get("region", region) == region and region in row.get(
                "applicableLocations", [region]
            ):
                return int(row["details"]["value"])
        return None

    def _check_policies(self) -> Iterator[Finding]:
        for name, (says, do) in _POLICIES.items():
            if (state := self._is_enforced(name)) is None:
                yield unknown("policies", f"{name} can't be read", "Ask for roles/orgpolicy.policyViewer.")
            elif state:
                yield wrong("policies", f"{name}: {says}", do)
            else:
                yield ok("policies", f"{name} is open")
        if self._is_enforced(_SIGNING_KEYS):
            says = f"{_SIGNING_KEYS}: no signing key can be made"
            yield warning("policies", says, "URLs of GCS are then signed by calls to IAM, which are slower.")

    def _is_enforced(self, name: str) -> bool | None:
        path = f"v2/projects/{self._project}/policies/{name}:getEffectivePolicy"
        status, document = self._apis.ask("orgpolicy", path)
        if status == 404:
            return False
        if status != 200:
            return None
        rules = document.get("spec", {}).get("rules", [])
        return any(rule.get("enforce") or rule.get("denyAll") or "values" in rule for rule in rules)

    def _check_firestore(self) -> Iterator[Finding]:
        database = self._configuration.database
        status, document = self._apis.ask("firestore", f"v1/projects/{self._project}/databases/{database}")
        if status == 404:
            yield ok("firestore", f"{database} is not there yet")
            return
        if status != 200:
            yield unknown("firestore", message_of(document))
            return
        wanted = self._configuration.value("firestore_location") or self._configuration.region
        if document.get("type") != "FIRESTORE_NATIVE":
            do = "Set firestore_database to a new name: a database that has held data keeps its mode."
            yield wrong("firestore", f"{database} is of {document.get('type')}", do)
        elif document.get("locationId") != wanted:
            says = f"{database} is in {document.get('locationId')}, not in {wanted}"
            yield wrong(
                "firestore",
                says,
                "Set firestore_location to where it is, or firestore_database to a new name.",
            )
        else:
            yield ok(
                "firestore", f"{database} is there: it has to be in Terraform's state, or to be imported"
            )

    def _check_buckets(self) -> Iterator[Finding]:
        taken, ours = [], []
        for purpose in GCS_BUCKETS:
            name = f"{self._configuration.bucket_prefix}-{purpose}"
            status, document = self._apis.ask("storage", f"storage/v1/b/{name}")
            if status == 200 and str(document.get("projectNumber")) == self._number:
                ours.append(name)
            elif status != 404:
                taken.append(name)
        if taken:
            yield wrong("buckets", f"of somebody else: {', '.join(taken)}", "Set bucket_prefix to another.")
        elif ours:
            yield ok(
                "buckets",
                f"{len(ours)} of {len(GCS_BUCKETS)} are there: they have to be in Terraform's state",
            )
        else:
            yield ok("buckets", "their names are free in GCS")
