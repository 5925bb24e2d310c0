"""Which settings of which variables can reach which node: reaching definitions, as bits of whole numbers.

Each place that sets a variable, and each that leaves it unset, is a definition with a bit of its own. A node is
reached by a definition if some path leads from the one to the other without another definition of the same
variable in between. Paths are never enumerated: sets of bits are passed along the ways until nothing changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.flow.facts import ANYTHING

if TYPE_CHECKING:
    from common.flow.forecast import Given
    from common.flow.validation.graph import Edge, Graph


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A variable gets a value, or with `given` None loses it, when a node is left; without a node, beforehand."""

    name: str
    node_id: str | None
    given: Given | None
    bit: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A way into a node that is no edge of the flow: where a conversation goes on after an end."""

    source: str
    target: str


class Reaching:
    """`defined` are the variables that something sets, `all` is every definition by its bit.

    `broken` are the variables that nodes with errors write.
    """

    def __init__(
        self,
        graph: Graph,
        entries: Iterable[Entry],
        brought_along: Iterable[str],
        broken: Mapping[str, frozenset[str]],
    ) -> None:
        self._graph = graph
        self.all: list[Definition] = []
        self.defined: set[str] = set()
        self._of_name: dict[str, int] = {}
        self._made: dict[Edge, int] = {}
        for node_id in graph.nodes:
            self._define_in(node_id, broken.get(node_id, frozenset()))
        at_start = 0
        for name in brought_along:
            at_start |= self._define(name, None, ANYTHING)
        for name in list(self._of_name):
            at_start |= self._define(name, None, None)
        self._replaced = {edge: self._mask_of(made) for edge, made in self._made.items()}
        self._into: dict[str, int] = {}
        self._back: dict[str, int] = {}  # of that, what comes back from the rounds of a loop
        self._solve(at_start, entries)

    def bits(self, node_id: str, name: str) -> int:
        """The definitions of the variable that reach the node: the same number for the same definitions."""
        return self._into.get(node_id, 0) & self._of_name.get(name, 0)

    def bits_after(self, edge: Edge, name: str) -> int:
        """The definitions of the variable that arrive by an edge."""
        return self._after(edge) & self._of_name.get(name, 0)

    def definitions(self, bits: int) -> list[Definition]:
        """The definitions that a number stands for."""
        found = []
        while bits:
            lowest = bits & -bits
            found.append(self.all[lowest.bit_length() - 1])
            bits ^= lowest
        return found

    def _define_in(self, node_id: str, broken: frozenset[str]) -> None:
        made: dict[tuple[str, Given | None], int] = {}
        for edge in self._graph.out[node_id]:
            changes = [*edge.leaving.sets.items(), *((name, None) for name in edge.leaving.deletes)]
            bits = 0
            for change in [*changes, *((name, ANYTHING) for name in broken)]:
                if change not in made:
                    made[change] = self._define(change[0], node_id, change[1])
                bits |= made[change]
            if bits:
                self._made[edge] = bits

    def _define(self, name: str, node_id: str | None, given: Given | None) -> int:
        bit = len(self.all)
        self.all.append(Definition(name, node_id, given, bit))
        self._of_name[name] = self._of_name.get(name, 0) | 1 << bit
        if given is not None:
            self.defined.add(name)
        return 1 << bit

    def _mask_of(self, made: int) -> int:
        mask = 0
        for definition in self.definitions(made):
            mask |= self._of_name[definition.name]
        return mask

    def _after(self, edge: Edge) -> int:
        into = self._into.get(edge.source, 0)
        if edge.leaving.after_round:
            into = self._back.get(edge.source, 0)
        made = self._made.get(edge)
        return into if made is None else (into & ~self._replaced[edge]) | made

    def _solve(self, at_start: int, entries: Iterable[Entry]) -> None:
        jumps: dict[str, list[str]] = {}
        for entry in entries:
            jumps.setdefault(entry.source, []).append(entry.target)
        start_id = self._graph.start_id
        self._into[start_id] = at_start
        ahead, waiting = deque([start_id]), {start_id}
        while ahead:
            node_id = ahead.popleft()
            waiting.discard(node_id)
            changed = [edge.target for edge in self._graph.out[node_id] if self._arrive(edge)]
            changed += [
                target for target in jumps.get(node_id, ()) if _grow(self._into, target, self._into[node_id])
            ]
            for target in changed if ahead or changed else self._without_round():
                if target not in waiting:
                    waiting.add(target)
                    ahead.append(target)

    def _arrive(self, edge: Edge) -> bool:
        """Pass on what leaves by an edge; whether that is new to the node at its end."""
        if edge.leaving.after_round and edge.source not in self._back:
            return False  # no round has come back yet
        bits = self._after(edge)
        is_new = _grow(self._into, edge.target, bits)
        return (edge.comes_back and _grow(self._back, edge.target, bits)) or is_new

    def _without_round(self) -> list[str]:
        """Loops none of whose rounds ever comes back: what follows them is looked at all the same."""
        stuck = [
            node_id
            for node_id in self._into
            if node_id not in self._back
            and any(edge.leaving.after_round for edge in self._graph.out[node_id])
        ]
        for node_id in stuck:
            self._back[node_id] = self._into[node_id]
        return stuck


def _grow(sets: dict[str, int], node_id: str, bits: int) -> bool:
    before = sets.get(node_id)
    after = bits if before is None else before | bits
    sets[node_id] = after
    return after != before
