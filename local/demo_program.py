"""The program of the demo: its steps, in order."""

from local import demo_steps as steps
from local import demo_told as told
from local.demo_steps import Step

STEPS = (
    Step("make the data ready", steps.make_ready),
    Step("subscribe", told.subscribe),
    Step("upload to gcp", steps.upload),
    Step("appears in aws", steps.arrive_in_aws),
    Step("PUT other content", steps.refuse_other_content),
    Step("list all bundles", steps.enumerate_bundles),
    Step("search finds it", told.find),
    Step("subscriber is notified", told.be_notified),
    Step("put a collection", told.link),
    Step("check out", told.check_out),
    Step("read back from gcp", steps.read_back("gcp")),
    Step("read back from aws", steps.read_back("aws")),
    Step("PATCH in aws", steps.add_a_file),
    Step("DELETE as an admin", steps.delete),
    Step("told and journalled", told.be_told_of_all),
)
