"""The memory budgets of the API: what its requests hold at once fits into a process."""

from dataclasses import dataclass

from shared.memory_budget import MemoryBudget


@dataclass(frozen=True)
class MemoryBudgets:
    """The budgets of a process.

    A thread that holds memory of `bodies` may wait for `collections`, never the reverse: no deadlock.
    `contents` are those of small files that are being verified. The rest of the memory is for the idle
    process (an eighth of 1 GiB), and for bodies that wait to be parsed.
    """

    bodies: MemoryBudget
    collections: MemoryBudget
    contents: MemoryBudget

    @classmethod
    def of(cls, memory: int) -> "MemoryBudgets":
        """Return the budgets of a process that may use `memory` bytes."""
        return cls(
            bodies=MemoryBudget(memory * 3 // 16),
            collections=MemoryBudget(memory * 3 // 8),
            # Of each byte two are in memory for a moment, when the chunks that were read are joined.
            contents=MemoryBudget(memory // 16),
        )
