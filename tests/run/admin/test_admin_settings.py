"""`dss admin settings`: what is deployed, what a plan would change, and what does not work."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.config import Settings
from tests.run.admin.test_admin_runs import env
from tests.support.command_line import dss_here

__all__ = ["env"]


def plan(path: Path, env: Mapping[str, str], **changes: str | None) -> Path:
    """Write what Terraform says of a plan that changes settings of the API, and adds a function."""
    names = [name for name in env if name in ("DSS_GS_BUCKET", "DSS_S3_BUCKET")]
    values = {**{name: env[name] for name in names}, **changes}
    api = {"containers": [{"env": [{"name": name, "value": value} for name, value in values.items()]}]}
    secret = {"name": "PGPASSWORD", "value": None, "value_source": [{"secret_key_ref": []}]}
    api["containers"][0]["env"].append(secret)
    env_of_more = [{"name": "A", "value": "1"}, {"name": "B", "value": None}, {**secret, "name": "C"}]
    function = {"name": "dss-more", "template": [{"containers": [{"env": env_of_more}]}]}
    child = {"resources": [{"type": "google_cloud_run_v2_service", "values": function}]}
    module = {
        "resources": [
            {"type": "google_cloud_run_v2_service", "values": {"name": "dss-api", "template": [api]}},
            {"type": "google_storage_bucket", "values": {}},
        ],
        "child_modules": [child],
    }
    path.write_text(json.dumps({"planned_values": {"root_module": module}}))
    return path


def test_settings_are_shown_as_deployed_and_as_planned(env: Mapping[str, str], tmp_path: Path) -> None:
    file = plan(tmp_path / "plan", env, DSS_S3_BUCKET="another", DSS_PUBLIC_URL=None)

    shown = dss_here(env, "admin", "settings", "--json")
    planned = dss_here(env, "admin", "settings", "--plan", file, "--changed", "--json")
    text = dss_here(env, "admin", "settings", "dss-api", "--plan", file, "--changed")

    deployed = {(row["service"], row["name"]): row["deployed"] for row in shown.json["settings"]}
    assert (shown.code, shown.json["wrong"]) == (0, {})
    assert deployed["dss-api", "DSS_GS_BUCKET"] == env["DSS_GS_BUCKET"]
    assert "DSS_TOKEN" not in {name for _, name in deployed}
    would = {(row["service"], row["name"]): row["planned"] for row in planned.json["settings"]}
    assert ("dss-api", "DSS_GS_BUCKET") not in would
    assert would["dss-api", "DSS_S3_BUCKET"] == "another"
    assert would["dss-api", "DSS_PUBLIC_URL"] == "(known after the apply)"
    assert would["dss-api", "PGPASSWORD"] == "(a secret)"
    assert would["dss-api", "GOOGLE_CLOUD_PROJECT"] is None
    more = {name: value for (service, name), value in would.items() if service == "dss-more"}
    assert more == {"A": "1", "B": "(known after the apply)", "C": "(a secret)"}
    assert f"dss-api  DSS_S3_BUCKET={env['DSS_S3_BUCKET']} -> another" in text.out
    assert "dss-more" not in text.out


def test_settings_that_do_not_work_are_named(env: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def service(name: str, labels: dict[str, str], **settings: str) -> dict[str, Any]:
        variables = [{"name": name, "value": value} for name, value in settings.items()]
        secret = {"name": "OIDC_ISSUERS", "valueSource": {}}
        template = {"containers": [{"env": [*variables, secret]}]}
        return {"name": f"p/{name}", "labels": labels, "template": template}

    required = [row for row in fields(Settings) if (row.default, row.default_factory) == (MISSING, MISSING)]
    needed = {name: env[name] for row in required if (name := row.metadata["name"])}
    ours = {"system": "dss"}
    rows = [
        service("dss-api", ours, **needed),
        service("dss-sync", ours, **needed, DSS_TYPO="1"),
        service("dss-index", ours, GOOGLE_CLOUD_PROJECT="p"),
        service("dss-dev-api", {**ours, "stage": "dev"}, DSS_TYPO="1"),
        service("dss-like", {}, DSS_TYPO="1"),
    ]
    monkeypatch.setattr(
        "run.admin.deployed.operator_apis", lambda _: SimpleNamespace(rows=lambda *_, **__: iter(rows))
    )

    shown = dss_here(env, "admin", "settings", "--json")
    other = dss_here({**env, "DSS_WORKFLOWS_PREFIX": "dss-dev-"}, "admin", "settings", "--json")

    assert shown.code == 1
    assert set(other.json["wrong"]) == {"dss-dev-api"}
    assert shown.json["wrong"]["dss-sync"] == "DSS_TYPO: no settings of this release"
    assert "DSS_GS_BUCKET is not set" in shown.json["wrong"]["dss-index"]
    assert set(shown.json["wrong"]) == {"dss-sync", "dss-index"}
    services = {row["service"] for row in shown.json["settings"]}
    assert services == {"dss-api", "dss-sync", "dss-index"}
    assert "(a secret)" in {row["deployed"] for row in shown.json["settings"]}


def test_what_is_no_plan_and_no_service_is_said(env: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "plan"
    file.write_text("{}")

    no_plan = dss_here(env, "admin", "settings", "--plan", file)
    no_service = dss_here(env, "admin", "settings", "dss-nothing")
    no_change = dss_here(env, "admin", "settings", "--changed")

    assert (no_plan.code, "not what `terraform show -json PLAN` prints" in no_plan.err) == (1, True)
    assert (no_service.code, "dss-nothing is none of dss-api" in no_service.err) == (1, True)
    assert (no_change.code, "only with --plan" in no_change.err) == (1, True)
