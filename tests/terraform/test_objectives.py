"""What the API promises is watched, what alerts say leads to runbooks, and all metrics are on a dashboard."""

import json
import re

from tests.support.terraform_cli import ROOT, Deployment

RUNBOOKS = ROOT / "docs" / "runbooks"
DOCS = {"least": "docs", "most": "https://git.example.org/dss/blob/main/docs"}


def test_every_alert_names_its_runbook_and_every_runbook_has_an_alert(
    deployments: dict[str, Deployment],
) -> None:
    named = set()
    for name, deployment in deployments.items():
        for policy in deployment.of_type("google_monitoring_alert_policy").values():
            [documentation] = policy["documentation"]
            [url] = re.findall(r"^What to do: (.*)$", documentation["content"], re.MULTILINE)
            root, _, file = url.partition("/runbooks/")
            assert root == DOCS[name], policy["display_name"]
            assert (RUNBOOKS / file).is_file(), policy["display_name"]
            named.add(file)

    assert named == {path.name for path in RUNBOOKS.iterdir()}


def test_the_runbook_of_an_alert_is_that_of_its_row_in_the_guide(deployment: Deployment) -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()

    for key, policy in deployment.by_key("google_monitoring_alert_policy.dss").items():
        title = re.sub("^dss-[a-z0-9-]+ has", "… has", policy["display_name"].removeprefix("DSS: "))
        [linked] = re.findall(rf"^\| {re.escape(title)} \|.*\((runbooks/.*?\.md)\) \|$", guide, re.MULTILINE)
        assert policy["documentation"][0]["content"].endswith(f"/{linked}"), key


def test_what_the_api_promises_is_measured_by_its_own_requests(deployment: Deployment) -> None:
    api = deployment.one("google_cloud_run_v2_service.api")["name"]
    available, fast = (
        deployment.one(f"google_monitoring_slo.{name}") for name in ("availability", "latency")
    )

    assert (available["goal"], fast["goal"]) == (0.999, 0.99)
    assert {available["rolling_period_days"], fast["rolling_period_days"]} == {28}
    [ratio] = available["request_based_sli"][0]["good_total_ratio"]
    assert f'service_name="{api}"' in ratio["total_service_filter"]
    assert ratio["bad_service_filter"] == (
        f'{ratio["total_service_filter"]} AND metric.labels.response_code_class="5xx"'
    )
    [cut] = fast["request_based_sli"][0]["distribution_cut"]
    assert f'service_name="{api}"' in cut["distribution_filter"]
    assert cut["range"] == [{"max": 5000, "min": None}]


def test_a_promise_that_is_used_up_too_fast_is_an_alert_while_it_lasts(deployment: Deployment) -> None:
    policies = deployment.by_key("google_monitoring_alert_policy.burn_rate")
    slos = {row["slo_id"] for row in deployment.of_type("google_monitoring_slo").values()}
    speeds = {"fast": (14.4, {"60m", "5m"}), "slow": (6, {"360m", "30m"})}

    assert set(policies) == {f"{slo}_{speed}" for slo in slos for speed in speeds}
    for key, policy in policies.items():
        slo, _, speed = key.partition("_")
        rate, spans = speeds[speed]
        assert policy["combiner"] == "AND"
        found = set()
        for condition in policy["conditions"]:
            [threshold] = condition["condition_threshold"]
            [(name, span)] = re.findall(r'^select_slo_burn_rate\("(.*)", "(.*)"\)$', threshold["filter"])
            assert name.endswith(f"/serviceLevelObjectives/{slo}")
            assert threshold["threshold_value"] == rate
            found.add(span)
        assert found == spans


def test_every_metric_is_on_the_dashboard(deployments: dict[str, Deployment]) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE))
    layout = json.loads(deployments["most"].one("google_monitoring_dashboard.dss")["dashboard_json"])[
        "mosaicLayout"
    ]
    shown = set()
    for tile in layout["tiles"]:
        assert tile["xPos"] + tile["width"] <= layout["columns"]
        [data] = tile["widget"]["xyChart"]["dataSets"]
        [metric] = re.findall(r'metric\.type="(.*?)"', data["timeSeriesQuery"]["timeSeriesFilter"]["filter"])
        shown.add(metric.removeprefix("logging.googleapis.com/user/"))
    places = {(tile["xPos"], tile["yPos"]) for tile in layout["tiles"]}

    # Messages that wait are shown by their age.
    assert documented == shown
    assert len(places) == len(layout["tiles"])


def test_administrators_of_billing_are_told_what_the_project_costs(bootstrap: dict[str, Deployment]) -> None:
    budget = bootstrap["most"].by_key("google_billing_budget.project")["project"]

    assert budget["billing_account"] == "012345-6789AB-CDEF01"
    assert budget["amount"][0]["specified_amount"][0]["units"] == "2500"
    rules = {(rule["threshold_percent"], rule["spend_basis"]) for rule in budget["threshold_rules"]}
    assert rules == {
        (0.5, "CURRENT_SPEND"),
        (0.9, "CURRENT_SPEND"),
        (1, "CURRENT_SPEND"),
        (1, "FORECASTED_SPEND"),
    }
    assert not bootstrap["least"].of_type("google_billing_budget")
