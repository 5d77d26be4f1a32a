"""What the settings say of the operations by which objects are had, once OPTIONS has said how."""

from dataclasses import dataclass

from run.api.contract import ALL
from shared.config import Settings


@dataclass(frozen=True)
class Uses:
    """The operations that follow an answer to OPTIONS: `get` take tokens, `post` passports, too."""

    get: frozenset[str]
    post: frozenset[str]

    def need_token(self, settings: Settings) -> bool:
        """Return whether one of them needs a token, also for what everybody may read."""
        return _some_secured(settings, self.get | self.post)

    def take_passports(self, settings: Settings) -> bool:
        """Return whether passports alone are enough for those that take them."""
        return bool(settings.passport_issuers) and not _some_secured(settings, self.post)


OF_ONE = Uses(
    get=frozenset(("drs.get_object", "drs.get_access")),
    post=frozenset(("drs.post_object", "drs.post_access")),
)
OF_MANY = Uses(get=frozenset(), post=frozenset(("drs.post_objects", "drs.post_accesses")))


def _some_secured(settings: Settings, operations: frozenset[str]) -> bool:
    return not (operations | {ALL}).isdisjoint(settings.secured)
