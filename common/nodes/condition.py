"""Take the first branch that holds."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from common.flow.comparisons import OPERATORS
from common.flow.conditions import Comparison, Keywords, Match, operand_of
from common.flow.forecast import Test
from common.flow.node import Exit, ExitPerRow, Go, Look, NodeType
from common.flow.settings_fields import OnlyIf, choice, flag, item_id, next_node, text, words
from common.flow.settings_groups import NodeSettings, SettingsPart, group, rows, settings_class
from common.flow.settings_language import expression, operand
from common.flow.text_matching import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow import conditions
    from common.flow.expressions import Expression
    from common.flow.templates import JsonTemplate, Template
    from common.flow.turn import Turn


class ConditionType(StrEnum):
    KEYWORD_MATCH = "KEYWORD_MATCH"
    VARIABLE_COMPARISON = "VARIABLE_COMPARISON"
    LOGICAL_EXPRESSION = "LOGICAL_EXPRESSION"


class Operator(StrEnum):
    EQUAL = "=="
    DIFFERENT = "!="
    ABOVE = ">"
    BELOW = "<"
    AT_LEAST = ">="
    AT_MOST = "<="
    CONTAINS = "contains"
    STARTS_WITH = "starts with"
    ENDS_WITH = "ends with"


def _only(kind: ConditionType) -> OnlyIf:
    return OnlyIf("conditionType", (kind.value,), default=ConditionType.LOGICAL_EXPRESSION.value)


_KEYWORD: Final = _only(ConditionType.KEYWORD_MATCH)
_COMPARISON: Final = _only(ConditionType.VARIABLE_COMPARISON)
_LOGICAL: Final = _only(ConditionType.LOGICAL_EXPRESSION)


@settings_class
class Branch(SettingsPart):
    branch_id: str = item_id("Branch ID", prefix="branch")
    label: str = text("Label", max_length=60)
    keywords: tuple[str, ...] = words("Keywords", maximum=50, max_length=100, required=True, only_if=_KEYWORD)
    match: Match = choice("The message holds", default=Match.ANY, only_if=_KEYWORD)
    case_sensitive: bool = flag("Case matters", default=False, only_if=_KEYWORD)
    left: Template | JsonTemplate = operand("Variable", bare=True, required=True, only_if=_COMPARISON)
    operator: Operator = choice("Comparison", default=Operator.EQUAL, only_if=_COMPARISON)
    right: Template | JsonTemplate = operand("Value", only_if=_COMPARISON)
    expression: Expression | None = expression("Condition", required=True, only_if=_LOGICAL)
    next_node_id: str | None = next_node()

    @property
    def handle(self) -> str:
        return self.branch_id

    @property
    def exit_label(self) -> str:
        return self.label or self.branch_id


@settings_class
class DefaultBranch(SettingsPart):
    next_node_id: str | None = next_node()

    handle = "default"


@settings_class
class ConditionSettings(NodeSettings):
    condition_type: ConditionType = choice("Kind of condition", default=ConditionType.LOGICAL_EXPRESSION)
    branches: tuple[Branch, ...] = rows(
        "Branches", Branch, minimum=1, maximum=20, inherits=("conditionType",)
    )
    default_branch: DefaultBranch = group("If none holds", DefaultBranch)


class Condition(NodeType[ConditionSettings]):
    kind = "CONDITION"
    look = Look("Condition", icon="split", tone="yellow", shape="diamond", category="Logic")
    description = "Takes the first branch whose condition holds."
    exits = (ExitPerRow("branches"), Exit("default", "None of these"))
    settings = ConditionSettings

    def reads(self, settings: ConditionSettings) -> frozenset[str]:
        is_keyword = settings.condition_type is ConditionType.KEYWORD_MATCH
        return super().reads(settings) | ({"lastMessage"} if is_keyword else set())

    def tests(self, settings: ConditionSettings) -> Iterator[Test]:
        for index, branch in enumerate(settings.branches):
            place, condition = _shape(settings.condition_type, branch)
            if condition is not None:
                yield Test(f"branches[{index}].{place}", condition, branch.handle, branch.exit_label)

    def enter(self, settings: ConditionSettings, turn: Turn) -> Go:
        test = _TESTS[settings.condition_type]
        seen: dict[str, Any] = {}
        turn.step.detail["saw"] = seen
        for branch in settings.branches:
            if test(branch, turn, seen):
                turn.step.detail["branch"] = branch.exit_label
                return Go(branch.handle)
        return Go("default")


def _shape(kind: ConditionType, branch: Branch) -> tuple[str, conditions.Condition | None]:
    """The setting that holds a branch's condition, and the condition."""
    match kind:
        case ConditionType.KEYWORD_MATCH:
            return "keywords", Keywords(branch.keywords, branch.match, branch.case_sensitive)
        case ConditionType.VARIABLE_COMPARISON:
            left, right = operand_of(branch.left), operand_of(branch.right)
            return "left", Comparison(left, branch.operator.value, right)
        case ConditionType.LOGICAL_EXPRESSION:
            return "expression", None if branch.expression is None else branch.expression.shape


def _holds_keywords(branch: Branch, turn: Turn, seen: dict[str, Any]) -> bool:
    """Keywords are found anywhere in the message; EXACT means that one of them is the whole message."""
    seen["lastMessage"] = turn.last_message
    said = folded(turn.last_message, case_sensitive=branch.case_sensitive)
    wanted = [folded(word, case_sensitive=branch.case_sensitive) for word in branch.keywords]
    match branch.match:
        case Match.ANY:
            return any(word in said for word in wanted)
        case Match.ALL:
            return all(word in said for word in wanted)
        case Match.EXACT:
            return said in wanted


def _compares(branch: Branch, turn: Turn, seen: dict[str, Any]) -> bool:
    left, right = branch.left.fill(turn), branch.right.fill(turn)
    seen[branch.left.source] = left
    return OPERATORS[branch.operator.value](left, right)


def _is_true(branch: Branch, turn: Turn, seen: dict[str, Any]) -> bool:
    condition = branch.expression
    if condition is None:
        return False
    seen.update(condition.seen(turn))
    return condition.evaluate(turn)


_TESTS: Final = {
    ConditionType.KEYWORD_MATCH: _holds_keywords,
    ConditionType.VARIABLE_COMPARISON: _compares,
    ConditionType.LOGICAL_EXPRESSION: _is_true,
}
