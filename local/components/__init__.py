"""The table of what runs on this machine. To add a component, add a function and a row of TABLE.

A function gets the configuration (ports, keys, directories, names) and what the rows above export, and
returns a Component. What a component exports is known before it starts, since its port is reserved; `needs`
is for what has to *answer* before it starts.
"""

from local.components import events, search, workflows
from local.components.base import Builder, Component, Exported
from local.components.emulators import firestore, pubsub
from local.components.services import api, mail, token_issuer
from local.components.stores import gcs, s3
from local.config import PROJECT, StackConfig, base_environment

# What the API needs to answer requests. Nothing happens in the background, which suits its tests.
API_TABLE: tuple[Builder, ...] = (firestore, pubsub, gcs, s3, search.postgresql, token_issuer, api)

TABLE: tuple[Builder, ...] = (
    *(firestore, pubsub, gcs, s3, search.postgresql, token_issuer),
    mail,
    events.topics,
    workflows.workflows,
    api,
    events.functions_of(
        *("administer", "checkout", "compact", "copy", "deliver", "explore", "importer", "index", "manifest"),
        *("notify", "redeliver", "s3_events", "sweep", "sync"),
        processes={"index": 2},
        threads={"sync": 32},
    ),
    events.gcs_notifications,
    events.s3_notifications,
    events.pushing,
)


def build(config: StackConfig, table: tuple[Builder, ...] = TABLE) -> tuple[list[Component], dict[str, str]]:
    """Return the components of a stack, and the environment for its users."""
    components = []
    exported = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "DSS_LOCAL_DATA": str(config.data),
        "DSS_AUDIT_LOG": str(config.audit_log),
    }
    inherited = base_environment(config.caller)
    for builder in table:
        component = builder(config, exported)
        if component is None:
            continue
        exported.update(component.exports)
        components.append(_with(component, inherited))
    return components, exported


def _with(component: Component, inherited: Exported) -> Component:
    environment = {**inherited, **component.environment}
    return Component(**{**vars(component), "environment": environment})
