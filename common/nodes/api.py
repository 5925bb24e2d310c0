"""Call an HTTP API, keep what it answers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from common.flow.facts import ANYTHING
from common.flow.forecast import Leaving
from common.flow.node import Exit, Go, Look, NodeType, WaitEffect
from common.flow.settings_fields import OnlyIf, choice, flag, next_node, number, text, whole
from common.flow.settings_groups import NodeSettings, SettingsPart, group, rows, settings_class
from common.flow.settings_language import (
    header_name,
    header_template,
    json_path,
    json_template,
    template,
    url_template,
    variable,
)
from common.flow.templates import FillError
from common.flow.turn import VariableRefused
from common.flow.variables import MISSING
from common.model.calls import CallFailed, HttpAnswer, HttpRequest
from common.model.events import EffectAnswered, Event
from common.model.issues import Issue
from common.model.session import WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow.json_path import JsonPath
    from common.flow.templates import HeaderTemplate, JsonTemplate, Template, UrlTemplate
    from common.flow.turn import Turn
    from common.model.values import Value

ROWS_MAX = 50


class Method(StrEnum):
    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    PATCH = "PATCH"


@settings_class
class Header(SettingsPart):
    key: str = header_name("Name")
    value: HeaderTemplate = header_template("Value")


@settings_class
class Parameter(SettingsPart):
    key: str = text("Name", max_length=200, required=True)
    value: Template = template("Value", widget="template")


@settings_class
class Mapping(SettingsPart):
    json_path: JsonPath = json_path("Place in the answer")
    variable_name: str = variable("Variable", required=True)


@settings_class
class Retry(SettingsPart):
    max: int = whole("Further tries", default=3, minimum=0, maximum=10)
    delay: float = number("Seconds before the next try", default=2, minimum=0, maximum=60)
    timeout: float = number("Seconds to wait for the answer", default=30, minimum=1, maximum=120)


_WHOLE = OnlyIf("storeEntireResponse", (True,), default=False)


@settings_class
class ApiSettings(NodeSettings):
    method: Method = choice("Method", default=Method.GET, labels={method: method.value for method in Method})
    url: UrlTemplate = url_template("Address", help="https://…; variables in it are encoded.")
    headers: tuple[Header, ...] = rows("Headers", Header, maximum=ROWS_MAX)
    query_params: tuple[Parameter, ...] = rows("Query parameters", Parameter, maximum=ROWS_MAX)
    body: JsonTemplate | None = json_template("Body", help="JSON; variables keep its structure.")
    response_mapping: tuple[Mapping, ...] = rows("Keep from the answer", Mapping, maximum=ROWS_MAX)
    store_entire_response: bool = flag("Keep the whole answer", default=False)
    response_variable: str = variable("Keep the whole answer in", default="apiResponse", only_if=_WHOLE)
    retry: Retry = group("Retry", Retry)
    success_next_node_id: str | None = next_node("success", "If it answers")
    failure_next_node_id: str | None = next_node("failure", "If it fails")

    def findings(self) -> Iterator[Issue]:
        if not self.response_mapping and not self.store_entire_response:
            message = "Say what to keep from the answer: at least one value, or the whole."
            yield Issue.error("api.keeps_nothing", message, field="responseMapping")
        if self.store_entire_response and not self.response_variable:
            yield Issue.error("field.required", "Name the variable for the answer.", field="responseVariable")


class Api(NodeType[ApiSettings]):
    kind = "API"
    look = Look("API", icon="cloud", tone="teal", category="Integration")
    description = "Calls a web address and keeps values from its answer."
    exits = (Exit("success", "Success"), Exit("failure", "Failure"))
    waits_for = WaitKind.EFFECT
    settings = ApiSettings

    def writes(self, settings: ApiSettings) -> frozenset[str]:
        written = {mapping.variable_name for mapping in settings.response_mapping}
        return frozenset(
            written | ({settings.response_variable} if settings.store_entire_response else set())
        )

    def leaving(self, settings: ApiSettings, handle: str) -> Leaving:
        return Leaving(dict.fromkeys(self.writes(settings), ANYTHING) if handle == "success" else {})

    def enter(self, settings: ApiSettings, turn: Turn) -> WaitEffect | Go:
        try:
            request = _request(settings, turn)
        except FillError as wrong:
            turn.fault(wrong.code, wrong.message)
            return Go("failure")
        turn.step.detail["request"] = {"method": request.method, "url": request.url}
        return WaitEffect(request)

    def resume(self, settings: ApiSettings, turn: Turn, event: Event) -> Go:
        match event:
            case EffectAnswered(answer=HttpAnswer() as answer):
                return _keep(settings, turn, answer)
            case EffectAnswered(answer=CallFailed() as failed):
                turn.step.detail.update(status=failed.status, attempts=failed.attempts)
                turn.fault(failed.code, failed.message)
            case _:
                turn.fault("api.wrong_answer", "The call was answered by something that is no HTTP response.")
        return Go("failure")


def _request(settings: ApiSettings, turn: Turn) -> HttpRequest:
    return HttpRequest(
        method=settings.method.value,
        url=settings.url.fill(turn, turn.bot_scope),
        headers=tuple((header.key, header.value.fill(turn)) for header in settings.headers),
        query=tuple((parameter.key, parameter.value.fill(turn)) for parameter in settings.query_params),
        body=None if settings.body is None else settings.body.fill(turn),
        max_retries=settings.retry.max,
        retry_delay_seconds=float(settings.retry.delay),
        timeout_seconds=float(settings.retry.timeout),
    )


def _keep(settings: ApiSettings, turn: Turn, answer: HttpAnswer) -> Go:
    """Set all variables, or, if one does not take its value, none and fail: the answer is not what was agreed."""
    turn.step.detail.update(status=answer.status, attempts=answer.attempts)
    values: dict[str, Value] = {}
    if settings.store_entire_response:
        values[settings.response_variable] = answer.body
    for mapping in settings.response_mapping:
        found = mapping.json_path.find(answer.body)
        if found is MISSING:
            turn.note(
                f'The answer has nothing at "{mapping.json_path.source}"; {mapping.variable_name} is null.'
            )
        values[mapping.variable_name] = None if found is MISSING else found
    try:
        for name, value in values.items():
            turn.admit(name, value)
        for name, value in values.items():
            turn.set(name, value)
    except VariableRefused as refused:
        turn.fault(refused.code, refused.message)
        return Go("failure")
    return Go("success")
