"""Preconditions on generations, as the query parameters `if…Match` state them."""

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
    """The number, zero or more; raises BadRequest naming the parameter for anything else."""
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"Invalid value for {name}: '{text}'.")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Preconditions:
    """What must hold of an object, or of its absence (generation 0)."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    @classmethod
    def parse(cls, parameters: Mapping[str, str], prefix: str = "if") -> "Preconditions":
        """Those among the parameters; raises BadRequest for what is no number."""
        return cls(
            **{
                field: whole_number(prefix + name, parameters[prefix + name])
                for field, name in _FIELDS.items()
                if prefix + name in parameters
            }
        )

    def as_dict(self) -> dict[str, int | None]:
        """For storing; `Preconditions(**stored)` is the way back."""
        return asdict(self)

    def check(self, generation: int, metageneration: int) -> None:
        """Raises PreconditionFailed unless all hold; an object that isn't there has generation 0."""
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
        """As `check`, but an object that is still what the reader has raises NotModified."""
        if generation == self.generation_not_match or metageneration == self.metageneration_not_match:
            raise NotModified("Not Modified")
        self.check(generation, metageneration)
