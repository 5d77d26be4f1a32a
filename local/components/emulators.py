"""The emulators of the Google Cloud CLI: Firestore and Pub/Sub, in memory."""

from functools import partial

from local import class_archive, probes
from local.components.base import Component, Exported
from local.config import StackConfig
from local.machine import Emulators
from local.supervisor.ports import HOST

# Measured on the Firestore emulator (6,000 sets, 1,600 gets): as fast as with the JVM's defaults, in 40 % of
# their CPU time and two thirds of their memory.
JVM_FLAGS = (
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    # A file in the system's temporary directory, which SIGKILL would leave there.
    "-XX:-UsePerfData",
)


def firestore_command(emulators: Emulators, port: int, *flags: str) -> tuple[str, ...]:
    """Return the command of the Firestore emulator, with further flags for the JVM."""
    main_class = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    return (
        *(str(emulators.java), *JVM_FLAGS, *flags, "-cp", str(emulators.firestore), main_class),
        *("start", f"--host={HOST}", f"--port={port}"),
    )


def pubsub_command(emulators: Emulators, port: int, *flags: str) -> tuple[str, ...]:
    """Return the command of the Pub/Sub emulator, with further flags for the JVM."""
    return (
        *(str(emulators.java), *JVM_FLAGS, *flags, "-jar", str(emulators.pubsub)),
        *(f"--host={HOST}", f"--port={port}"),
    )


def firestore(config: StackConfig, _: Exported) -> Component:
    """Metadata: the Firestore emulator, in memory."""
    port = config.ports.of("firestore")
    archive = class_archive.flags(config.emulators.java, config.emulators.firestore)
    return Component(
        name="firestore",
        command=firestore_command(config.emulators, port, *archive),
        ready=partial(probes.answers_ok, config.url("firestore")),
        exports={"FIRESTORE_EMULATOR_HOST": f"{HOST}:{port}"},
    )


def pubsub(config: StackConfig, _: Exported) -> Component:
    """Events: the Pub/Sub emulator, in memory."""
    port = config.ports.of("pubsub")
    archive = class_archive.flags(config.emulators.java, config.emulators.pubsub)
    return Component(
        name="pubsub",
        command=pubsub_command(config.emulators, port, *archive),
        ready=partial(probes.answers_ok, config.url("pubsub")),
        exports={"PUBSUB_EMULATOR_HOST": f"{HOST}:{port}"},
    )
