"""Preconditions on generations: the query parameters `if…Match`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gcs_server.errors import BadRequest, NotModified, PreconditionFailed

_FIELDS = {
    "generation_match": "GenerationMatch",
    "generation_not_match": "GenerationNotMatch",
    "metageneration_match": "MetagenerationMatch",
    "metageneration_not_match": "MetagenerationNotMatch",
}
OF_TARGET = tuple(f"if{name}" for name in _FIELDS.values())
OF_SOURCE = tuple(f"ifSource{name}" for name in _FIELDS.values())


def whole_number(name: str, text: str) -> int:
    """Parse a number, zero or more. Raises BadRequest, with the parameter's name."""
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"Invalid value for {name}: '{text}'.")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Preconditions:
    """Conditions on an object; a missing object has generation 0."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    @classmethod
    def parse(cls, parameters: Mapping[str, str], prefix: str = "if") -> "Preconditions":
        """Parse those among the parameters. Raises BadRequest for a value that is not a number."""
        return cls(
            **{
                field: whole_number(prefix + name, parameters[prefix + name])
                for field, name in _FIELDS.items()
                if prefix + name in parameters
            }
        )

    def as_dict(self) -> dict[str, int | None]:
        """Return them for storage; `Preconditions(**stored)` restores them."""
        return asdict(self)

    def check(self, generation: int, metageneration: int) -> None:
        """Raise PreconditionFailed unless all hold; a missing object has generation 0."""
        if self.generation_match not in (None, generation):
            raise PreconditionFailed
        if self.generation_not_match == generation:
            raise PreconditionFailed
        if not generation and (self.metageneration_match, self.metageneration_not_match) != (None, None):
            raise PreconditionFailed
        if self.metageneration_match not in (None, metageneration):
            raise PreconditionFailed
        if self.metageneration_not_match == metageneration:
            raise PreconditionFailed

    def check_read(self, generation: int, metageneration: int) -> None:
        """Like `check`, but raise NotModified if the reader has this generation already."""
        if generation == self.generation_not_match or metageneration == self.metageneration_not_match:
            raise NotModified("Not Modified")
        self.check(generation, metageneration)
