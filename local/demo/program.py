"""The steps of the demo, in order."""

from local.demo import access_steps, drs_steps, explore_steps, manifest_steps, steps
from local.demo import event_steps as events
from local.demo.steps import Step

STEPS = (
    Step("make the data ready", steps.make_ready),
    Step("subscribe", events.subscribe),
    Step("upload to gcp", steps.upload),
    Step("appears in aws", steps.arrive_in_aws),
    Step("find it by facets", explore_steps.find_by_facets),
    Step("download by a manifest", manifest_steps.download_by_manifest),
    Step("PUT other content", steps.refuse_other_content),
    Step("list all bundles", steps.enumerate_bundles),
    Step("search finds it", events.find),
    Step("subscriber is notified", events.be_notified),
    Step("put a collection", events.link),
    Step("check out", events.check_out),
    Step("read back from gcp", steps.read_back("gcp")),
    Step("read back from aws", steps.read_back("aws")),
    Step("resolve it by DRS", drs_steps.resolve),
    Step("bind it to a group", access_steps.bind_to_a_group),
    Step("PATCH in aws", steps.add_a_file),
    Step("DELETE as an admin", steps.delete),
    Step("notified of each event", events.receive_all),
)
