"""Bot variables: what all flows of a bot can read."""

from __future__ import annotations

from api.rest.access import Access
from api.rest.call import Call, conflict, invalid, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.schemas.variables import (
    BotVariableQuery,
    BotVariablesQuery,
    BotVariableValue,
    BotVariableView,
    VariableUsesView,
)
from api.stale_save import stale_save
from api.variable_uses import uses_of_variable
from common.errors import AppError, ErrorCode
from common.flow.bot_variables import name_problem, value_problem
from common.flow.variables import admit
from common.model.values import VariableType
from common.store.bot_variables import MOST_VARIABLES, BotGone, StaleVariable, TooManyVariables
from common.store.database import Document

routes = Routes(
    "variables", "/api/bots/<bot_id>/variables", "Bot variables: what all flows of a bot can read."
)


@routes.get("", access=Access.OWNER, query=BotVariablesQuery, answer=page_of(BotVariableView))
def list_bot_variables(call: Call) -> Document:
    """List a bot's variables, by name."""
    return call.store.bot_variables.page(
        call.bot_id, limit=call.query["limit"], cursor=call.query["cursor"], prefix=call.query["prefix"]
    ).as_document()


@routes.get("/<name>", access=Access.OWNER, answer=BotVariableView)
def get_bot_variable(call: Call) -> Document:
    """Show a variable."""
    return _variable(call)


@routes.put("/<name>", access=Access.OWNER, body=BotVariableValue, answer=BotVariableView)
def set_bot_variable(call: Call) -> Document:
    """Set a variable; it is made if there is none.

    Conversations see the new value within a second, with their next turn. A name has letters, digits and
    underscores and begins with a letter; the names that the platform itself uses are refused. 409
    `revision_conflict` where the variable is not at the revision that was given.
    """
    name, kind = call.path["name"], VariableType(call.body["type"])
    wrong = name_problem(name)
    if wrong is not None:
        raise invalid({"name": [wrong]})
    wrong = value_problem(call.body["value"], kind)
    if wrong is not None:
        raise invalid({"value": [wrong]})
    try:
        return call.store.bot_variables.put(
            call.bot_id,
            name,
            admit(call.body["value"]),
            kind,
            by=call.user_id,
            new_id=call.new_id,
            description=call.body.get("description"),
            revision=call.body["revision"],
        )
    except StaleVariable as stale:
        raise _stale(call, stale) from None
    except TooManyVariables:
        raise conflict(ErrorCode.CONFLICT, f"A bot has at most {MOST_VARIABLES} variables.") from None
    except BotGone:
        raise not_found("bot") from None


@routes.delete("/<name>", access=Access.OWNER, query=BotVariableQuery, answer=VariableUsesView, status=200)
def delete_bot_variable(call: Call) -> Document:
    """Delete a variable.

    The answer lists the flows whose drafts still use it: there it is unset from now on, also in what is live.
    """
    name = call.path["name"]
    try:
        if not call.store.bot_variables.delete(call.bot_id, name, revision=call.query["revision"]):
            raise not_found("variable")
    except StaleVariable as stale:
        raise _stale(call, stale) from None
    except BotGone:
        raise not_found("bot") from None
    return uses_of_variable(call.store, call.bot_id, name)


@routes.get("/<name>/uses", access=Access.OWNER, answer=VariableUsesView)
def get_variable_uses(call: Call) -> Document:
    """Show which flows use a variable, and where, by their drafts."""
    return uses_of_variable(call.store, call.bot_id, _variable(call)["variableName"])


def _variable(call: Call) -> Document:
    variable = call.store.bot_variables.find(call.bot_id, call.path["name"])
    if variable is None:
        raise not_found("variable")
    return variable


def _stale(call: Call, stale: StaleVariable) -> AppError:
    return stale_save(call, stale.revision, stale.saved_by, stale.saved_at)
