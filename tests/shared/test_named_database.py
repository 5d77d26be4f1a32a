"""A catalog in a named database: where a backup of Firestore is restored."""

from shared.system import Dss
from tests.support.api import Api, new_uuid, put_file
from tests.support.clouds import Clouds
from tests.support.dss import open_dss


def names(dss: Dss) -> set[str]:
    return {file.fqid.uuid for file in dss.catalog.scan.files()}


def test_the_setting_names_the_database_of_the_catalog(
    stack: dict[str, str], api: Api, clouds: Clouds
) -> None:
    file = put_file(api, clouds.stage("gcp", b"content"))
    restored = {**stack, "DSS_FIRESTORE_DATABASE": f"restored-{new_uuid()}"}

    with open_dss(stack) as usual, open_dss(restored) as other:
        assert file.uuid in names(usual)
        assert names(other) == set()
