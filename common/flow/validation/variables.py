"""What is known of each variable at each node: whether it is set there, and what its value can be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from common.flow.definition import RestartPolicy
from common.flow.facts import ANYTHING, Fact, as_text, as_type, joined, of_type, of_value, text_fact
from common.flow.forecast import Filled
from common.flow.message_limits import units
from common.flow.references import Chain, Constant, Reference
from common.flow.templates import JsonTemplate, Template
from common.flow.validation.reaching import Definition, Entry, Reaching
from common.flow.validation.uses import names_written_raw
from common.flow.variables import MISSING, SYSTEM_NAMES, to_text, walk
from common.model.session import WaitKind
from common.model.values import Value, VariableType

if TYPE_CHECKING:
    from common.flow.conditions import Comparison
    from common.flow.definition import Flow
    from common.flow.validation.context import CheckContext
    from common.flow.validation.graph import Graph
    from common.flow.validation.judging import Verdict

_PASSES: Final = 3  # over values made of other values; each makes the facts sharper, none of them wrong
_SYSTEM_FACT: Final = text_fact()


@dataclass(frozen=True, slots=True)
class Known:
    """A variable where it is used. `fact` is None if nothing sets it on any path to here."""

    fact: Fact | None
    is_maybe_unset: bool

    @property
    def is_never_set(self) -> bool:
        return self.fact is None


class Variables:
    """`bot` are the bot's variables as far as anybody knows; `declared` the flow's own, with their types."""

    def __init__(self, flow: Flow, graph: Graph, context: CheckContext, data: object) -> None:
        self.declared = flow.variables_declared.session
        self._bot_values = _bot_values(flow, context)
        self.bot = _bot_facts(flow, context, self._bot_values)
        broken = _broken_writes(flow, data)
        self.reaching = Reaching(graph, _restarts(flow, graph), context.brought_along, broken)
        self.written = self.reaching.defined
        self._facts: dict[int, Fact] = {}  # by definition; of what is not worked out yet: anything
        self._known: dict[tuple[str, int], Known] = {}
        self.verdicts: dict[tuple[int, str, bool], tuple[Comparison, Verdict]] = {}  # kept by `judging`
        self._settle(graph)

    def is_provided(self, name: str) -> bool:
        """Whether the bot or the system has it, whatever the flow does."""
        return name in SYSTEM_NAMES or name in self.bot

    def at(self, node_id: str, name: str) -> Known:
        """The variable when the node is entered."""
        key = (name, self.reaching.bits(node_id, name))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._look(*key)
        return known

    def _look(self, name: str, bits: int) -> Known:
        arriving = self.reaching.definitions(bits)
        facts = [self._facts.get(one.bit, ANYTHING) for one in arriving if one.given is not None]
        is_unset = not arriving or any(one.given is None for one in arriving)
        if is_unset and self.is_provided(name):
            return Known(joined([*facts, self.bot.get(name, _SYSTEM_FACT)]), is_maybe_unset=False)
        return Known(joined(facts), is_unset)

    def bot_value(self, reference: Reference) -> Value:
        """What stands there in the bot's variables now; None where nobody knows."""
        if reference.name not in self._bot_values or reference.name in self.written:
            return None
        found = walk(self._bot_values[reference.name], reference.path)
        return None if found is MISSING else found

    # --- values of references, chains and templates

    def of_reference(self, node_id: str, reference: Reference) -> Known:
        """The value at a place in a variable. Inside of it, nothing is known but what the bot holds now."""
        known = self.at(node_id, reference.name)
        if not reference.path or known.fact is None:
            return known
        value = self.bot_value(reference)
        fact = ANYTHING if value is None else _changeable(of_value(value))
        return Known(fact, known.is_maybe_unset)

    def of_chain(self, node_id: str, chain: Chain) -> Known:
        """The value of a placeholder: of the first operand that there is."""
        facts: list[Fact] = []
        for operand in chain.operands:
            if isinstance(operand, Constant):
                facts.append(of_value(operand.value))
                return Known(joined(facts), is_maybe_unset=False)
            known = self.of_reference(node_id, operand)
            if known.fact is not None:
                facts.append(known.fact)
            if not known.is_maybe_unset and len(chain.operands) == 1:
                return known
        surely = any(
            isinstance(operand, Reference) and not self.of_reference(node_id, operand).is_maybe_unset
            for operand in chain.operands
        )
        return Known(joined(facts), not surely)

    def longest(self, node_id: str, template: Template) -> int | None:
        """The most UTF-16 units that the filled template can have; None where nobody knows."""
        total = 0
        for piece in template.pieces:
            if isinstance(piece, str):
                total += units(piece)
                continue
            fact = self.of_chain(node_id, piece).fact
            longest = 0 if fact is None else as_text(fact).longest
            if longest is None:
                return None
            total += longest
        return total

    # --- facts of values that are made of other values

    def _settle(self, graph: Graph) -> None:
        made: list[tuple[Definition, Filled]] = []
        for definition in self.reaching.all:
            match definition.given:
                case Filled() as filled:
                    made.append((definition, filled))
                case Fact() as fact:
                    self._facts[definition.bit] = self._declare(definition.name, fact)
                case None:
                    pass
        place = {node_id: number for number, node_id in enumerate(graph.order)}
        made.sort(key=lambda one: place.get(one[0].node_id or "", 0))
        for _ in range(_PASSES):
            before = dict(self._facts)
            for definition, filled in made:
                self._known.clear()
                fact = self._filled(definition.node_id or "", filled)
                self._facts[definition.bit] = self._declare(definition.name, fact)
            if before == self._facts:
                break
        self._known.clear()

    def _declare(self, name: str, fact: Fact) -> Fact:
        declared = self.declared.get(name)
        return fact if declared is None else as_type(fact, declared)

    def _filled(self, node_id: str, filled: Filled) -> Fact:
        if filled.type is not VariableType.STRING:
            return of_type(filled.type)
        return self.of_filled(node_id, filled)

    def of_filled(self, node_id: str, filled: Filled) -> Fact:
        """What the template gives, before it is made into the type."""
        if isinstance(filled.template, JsonTemplate):
            return of_type(filled.type)
        pieces = filled.template.pieces
        if filled.template.is_constant:
            return of_value("".join(map(str, pieces)))
        if len(pieces) == 1 and isinstance(pieces[0], Chain):
            known, nothing = self.of_chain(node_id, pieces[0]), of_value("")
            facts = [] if known.fact is None else [as_text(known.fact)]
            return joined([*facts, nothing] if known.is_maybe_unset else facts) or nothing
        return text_fact(self.longest(node_id, filled.template))


def _changeable(fact: Fact) -> Fact:
    """A value that its owner can change at any time: its length today counts, the text itself does not."""
    return Fact(fact.types, fact.longest)


def _bot_values(flow: Flow, context: CheckContext) -> dict[str, Value]:
    if context.bot_variables is None:
        return dict(flow.variables_declared.samples)
    return {name: variable.value for name, variable in context.bot_variables.items()}


def _bot_facts(flow: Flow, context: CheckContext, values: Mapping[str, Value]) -> dict[str, Fact]:
    if context.bot_variables is None:
        return {
            name: _changeable(of_value(values[name])) if name in values else ANYTHING
            for name in flow.variables_declared.bot
        }
    return {
        name: Fact(frozenset({variable.known_type}), units(to_text(variable.value)))
        for name, variable in context.bot_variables.items()
    }


def _broken_writes(flow: Flow, data: object) -> dict[str, frozenset[str]]:
    """What nodes with errors would set, so that their errors do not look like many others."""
    broken = {node_id: node for node_id, node in flow.nodes.items() if node.settings is None}
    written: dict[str, frozenset[str]] = {}
    raw_nodes: Any = data.get("nodes") if isinstance(data, Mapping) else None
    for raw in raw_nodes if broken and isinstance(raw_nodes, list) else ():
        if not isinstance(raw, Mapping):
            continue
        node_id, config = raw.get("nodeId"), raw.get("config")
        node = broken.get(node_id) if isinstance(node_id, str) else None
        if node is not None and isinstance(config, Mapping):
            written.setdefault(node.node_id, frozenset(names_written_raw(node.type.settings, config)))
    return written


def _restarts(flow: Flow, graph: Graph) -> Iterable[Entry]:
    """Where conversations that stay open after an end go on, with their variables."""
    policy = flow.settings.restart_policy
    ends = [
        node.node_id
        for node in flow.nodes.values()
        if node.settings is not None and node.type.keeps_open(node.settings)
    ]
    if not ends or policy is RestartPolicy.FALLBACK_FLOW:
        return
    asking = (
        [node for node in flow.nodes if flow.nodes[node].type.waits_for is WaitKind.REPLY]
        if policy is RestartPolicy.RESUME_LAST_NODE
        else []
    )
    heard = graph.reaching(ends) if asking else set[str]()
    for end in ends:
        yield Entry(end, flow.start_id)
        for node_id in asking:
            if node_id in heard:
                yield Entry(end, node_id)
