"""Object events, as the clouds tell of them."""

from tests.support.given import Clouds


def object_event(clouds: Clouds, replica: str, key: str) -> dict[str, str]:
    """Return the attributes of the event that tells of an object in a replica's bucket."""
    return {
        "replica": replica,
        "bucketId": clouds.main[replica],
        "objectId": key,
        "eventType": "OBJECT_FINALIZE",
        "objectGeneration": "1",
    }
