"""State graphs: which status may follow which, and the event that walking the edge tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class IllegalMoveError(Exception):
    """A use-case tried an edge that its graph does not have: our bug, never the person's."""


@dataclass(frozen=True)
class Graph:
    """`edges[(from, to)] = event`. `table` is the table whose column `state` the graph governs."""

    word: str
    table: str
    states: type[StrEnum]
    edges: Mapping[tuple[StrEnum, StrEnum], str]

    def event(self, old: str, new: str) -> str:
        try:
            return self.edges[self.states(old), self.states(new)]
        except (KeyError, ValueError) as error:
            raise IllegalMoveError(f"{self.word}: {old} -> {new}") from error

    def next_states(self, old: str) -> set[StrEnum]:
        return {to for (start, to) in self.edges if start == old}
