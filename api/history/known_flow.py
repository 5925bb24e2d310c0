"""Flow versions as history needs them: compiled, to run turns again; with labels, exits and edges, to talk about."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from common.flow.conditions import Keywords, Match
from common.flow.definition import Flow, Node, load_flow
from common.flow.forecast import Test
from common.flow.settings_groups import parts
from common.store.store import Store
from common.store.test_versions import PREFIX

_MOST_FLOWS: Final = 100  # a version never changes; a large one compiled takes some megabytes


@dataclass(frozen=True, slots=True)
class KnownExit:
    """An exit of a node, and where it leads (None: nowhere)."""

    handle: str
    label: str
    edge_id: str | None
    next_node_id: str | None


@dataclass(frozen=True, slots=True)
class KnownFlow:
    """A flow version. `flow` is None where nothing of it can be read."""

    version_id: str
    flow: Flow | None
    edge_ids: dict[tuple[str, str], str]

    def node(self, node_id: str | None) -> Node | None:
        """A node of the version."""
        return self.flow.nodes.get(node_id) if self.flow is not None and node_id is not None else None

    def label(self, node_id: str | None) -> str:
        """What a person calls a node."""
        node = self.node(node_id)
        return node.label if node is not None else node_id or ""

    def exits(self, node_id: str | None) -> list[KnownExit]:
        """The exits of a node in the order in which they are drawn."""
        node = self.node(node_id)
        if node is None:
            return []
        labels = dict(node.type.labelled_exits(node.settings)) if node.settings is not None else {}
        return [
            KnownExit(
                handle,
                labels.get(handle, handle),
                self.edge_ids.get((node.node_id, handle)),
                node.ways[handle].target_id if handle in node.ways else None,
            )
            for handle in dict.fromkeys([*labels, *node.ways])
        ]


def tests_of(node: Node) -> Iterator[tuple[Test, str]]:
    """The conditions that choose an exit of the node, each with its text, in the order in which they are tried."""
    if node.settings is None:
        return
    sources = {path: value for path, _, value, _ in parts(node.settings)}
    for test in node.type.tests(node.settings):
        if test.handle is not None:
            yield test, _condition_text(test, sources)


def _condition_text(test: Test, sources: dict[str, Any]) -> str:
    if isinstance(test.condition, Keywords):
        words = ", ".join(f"“{word}”" for word in test.condition.words)
        how = {Match.ANY: "contains any of", Match.ALL: "contains all of", Match.EXACT: "is one of"}
        return f"the message {how[test.condition.match]} {words}"
    row, _, name = test.field.rpartition(".")
    if name == "left":
        left, operator, right = (sources.get(f"{row}.{part}") for part in ("left", "operator", "right"))
        return f"{_source(left)} {getattr(operator, 'value', operator)} {_source(right)}"
    return _source(sources.get(test.field))


def _source(value: Any) -> str:
    return str(getattr(value, "source", value))


class FlowShelf:
    """The versions that were looked at last. Thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, KnownFlow] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, store: Store, version_id: str) -> KnownFlow | None:
        """A version; None where it is not kept any more. Raises DatabaseError."""
        with self._lock:
            known = self._known.get(version_id)
            if known is not None:
                self._known.move_to_end(version_id)
                return known
        is_test = version_id.startswith(PREFIX)
        version = (store.test_versions.find if is_test else store.bots.version)(version_id)
        if version is None:
            return None
        known = _read(version_id, version.flow_data)
        with self._lock:
            self._known[version_id] = known
            while len(self._known) > _MOST_FLOWS:
                self._known.popitem(last=False)
        return known


def _read(version_id: str, data: dict[str, Any]) -> KnownFlow:
    edge_ids: dict[tuple[str, str], str] = {}
    edges = data.get("edges")
    for edge in edges if isinstance(edges, list) else []:
        if isinstance(edge, dict) and isinstance(edge.get("edgeId"), str):
            place = (str(edge.get("sourceNodeId")), str(edge.get("sourceHandle") or "output"))
            edge_ids.setdefault(place, edge["edgeId"])
    return KnownFlow(version_id, load_flow(data, version_id).flow, edge_ids)


# Versions are immutable and their ids are unique everywhere: one shelf serves a whole process.
SHELF: Final = FlowShelf()
