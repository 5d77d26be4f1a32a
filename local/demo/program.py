"""The steps of the demo, in order, and those that any deployment takes."""

from local.demo import access_steps, drs_steps, explore_steps, manifest_steps, steps
from local.demo import event_steps as events
from local.demo.steps import Step

STEPS = (
    Step("make the data ready", steps.make_ready, anywhere=True),
    Step("subscribe", events.subscribe),
    Step("upload to gcp", steps.upload, anywhere=True),
    Step("appears in aws", steps.arrive_in_aws, anywhere=True),
    Step("find it by facets", explore_steps.find_by_facets),
    Step("download by a manifest", manifest_steps.download_by_manifest),
    Step("PUT other content", steps.refuse_other_content, anywhere=True),
    Step("list all bundles", steps.enumerate_bundles, anywhere=True),
    Step("search finds it", events.find, anywhere=True),
    Step("subscriber is notified", events.be_notified),
    Step("put a collection", events.link),
    Step("check out", events.check_out, anywhere=True),
    Step("read back from gcp", steps.read_back("gcp"), anywhere=True),
    Step("read back from aws", steps.read_back("aws"), anywhere=True),
    Step("resolve it by DRS", drs_steps.resolve, anywhere=True),
    Step("bind it to a group", access_steps.bind_to_a_group),
    Step("PATCH in aws", steps.add_a_file, anywhere=True),
    Step("DELETE as an admin", steps.delete),
    Step("notified of each event", events.receive_all),
)

STEPS_ANYWHERE = (*(step for step in STEPS if step.anywhere), Step("hide it", steps.leave_nothing_to_see))
