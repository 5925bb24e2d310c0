"""Run a part of the flow several times.

The loop counts the rounds it has begun. Coming back through "continue", or through "input" from a node that can
only be reached through this loop, begins the next round; every other way in starts afresh.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from common.flow.facts import Fact
from common.flow.forecast import Leaving, Test
from common.flow.message_limits import units
from common.flow.node import Exit, Go, Look, NodeType
from common.flow.settings_fields import OnlyIf, choice, next_node, whole
from common.flow.settings_groups import NodeSettings, settings_class
from common.flow.settings_language import expression, variable
from common.model.issues import Issue
from common.model.values import VariableType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow.expressions import Expression
    from common.flow.turn import Turn

ITERATIONS_MAX: Final = 1000


class LoopType(StrEnum):
    COUNT_BASED = "COUNT_BASED"
    CONDITION_BASED = "CONDITION_BASED"


_COUNTED: Final = OnlyIf("loopType", ("COUNT_BASED",), default="COUNT_BASED")
_CONDITIONAL: Final = OnlyIf("loopType", ("CONDITION_BASED",), default="COUNT_BASED")


@settings_class
class LoopSettings(NodeSettings):
    loop_type: LoopType = choice("Repeat", default=LoopType.COUNT_BASED)
    iteration_count: int | None = whole(
        "How often", default=None, minimum=1, maximum=ITERATIONS_MAX, required=True, only_if=_COUNTED
    )
    exit_condition: Expression | None = expression("Until", required=True, only_if=_CONDITIONAL)
    iteration_variable: str = variable(
        "Keep the number of the round in", help="1 in the first round; optional."
    )
    max_iterations: int = whole(
        "At most",
        default=10,
        minimum=1,
        maximum=ITERATIONS_MAX,
        help="A safety limit: then the loop is left.",
    )
    loop_body_next_node_id: str | None = next_node("body", "Each round begins at")
    exit_next_node_id: str | None = next_node("exit", "Afterwards")

    def findings(self) -> Iterator[Issue]:
        if self.iteration_count is not None and self.iteration_count > self.max_iterations:
            message = (
                f"Only {self.max_iterations} rounds will run: the safety limit is below the number asked for."
            )
            yield Issue.warning("loop.limited", message, field="maxIterations")


class Loop(NodeType[LoopSettings]):
    kind = "LOOP"
    look = Look("Loop", icon="repeat", tone="indigo", shape="circle", category="Logic")
    description = "Repeats a part of the flow."
    inputs = ("input", "continue")
    exits = (Exit("body", "Each round"), Exit("exit", "Afterwards"))
    bounds_cycles = True
    settings = LoopSettings

    def leaving(self, settings: LoopSettings, handle: str) -> Leaving:
        if handle != "body":
            return Leaving(after_round=settings.loop_type is LoopType.COUNT_BASED)
        asked_for = settings.max_iterations if settings.iteration_count is None else settings.iteration_count
        rounds = min(asked_for, settings.max_iterations)
        number = Fact(frozenset({VariableType.NUMBER}), units(str(rounds)))
        return Leaving(dict.fromkeys(self.writes(settings), number), rounds=rounds)

    def tests(self, settings: LoopSettings) -> Iterator[Test]:
        if settings.exit_condition is not None:
            yield Test("exitCondition", settings.exit_condition.shape, "exit", "Until")

    def enter(self, settings: LoopSettings, turn: Turn) -> Go:
        rounds = turn.session.loops.get(turn.node.node_id, 0) if turn.came_back else 0
        reason = _reason_to_stop(settings, turn, rounds)
        if reason is not None:
            turn.session.loops.pop(turn.node.node_id, None)
            turn.step.detail.update(rounds=rounds, stoppedBy=reason)
            return Go("exit")
        turn.session.loops[turn.node.node_id] = rounds + 1
        turn.step.detail["round"] = rounds + 1
        if settings.iteration_variable:
            turn.set(settings.iteration_variable, rounds + 1)
        return Go("body")


def _reason_to_stop(settings: LoopSettings, turn: Turn, rounds: int) -> str | None:
    if settings.exit_condition is not None:
        turn.step.detail["saw"] = settings.exit_condition.seen(turn)
        if settings.exit_condition.evaluate(turn):
            return "condition"
    elif settings.iteration_count is None or rounds >= settings.iteration_count:
        return "count"
    return "maxIterations" if rounds >= settings.max_iterations else None
