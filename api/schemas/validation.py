"""What goes in and out when flows are checked."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Body, Id, View
from api.schemas.flows import FlowJson
from common.flow.validation.verdict import MOST_TOLD, CheckState
from common.model.issues import Severity


class ValidationQuery(Body):
    """Which state of the flow to check."""

    version_id = Id(load_default=None, metadata={"description": "Without one: the draft."})


class FlowToCheck(Body):
    """A flow that is not saved yet; without one, the draft is checked."""

    flow_data = FlowJson(load_default=None)


class IssueView(View):
    """Something to mend. Errors refuse a deploy, warnings do not."""

    code = fields.String()
    severity = fields.String(validate=validate.OneOf([severity.value for severity in Severity]))
    check = fields.String(allow_none=True)
    node_id = fields.String(allow_none=True)
    node_label = fields.String(allow_none=True)
    field = fields.String(allow_none=True, metadata={"description": "Below the node's `config`."})
    message = fields.String()


class CheckView(View):
    """One check. SKIPPED: it needs a flow that can run, and there is none."""

    name = fields.String()
    title = fields.String()
    state = fields.String(validate=validate.OneOf([state.value for state in CheckState]))
    issue_count = fields.Integer()


class ValidationView(View):
    """What the checks found: errors first, then as the conversation meets the nodes."""

    is_deployable = fields.Boolean()
    error_count = fields.Integer()
    warning_count = fields.Integer()
    issues = fields.List(
        fields.Nested(IssueView), metadata={"description": f"The first {MOST_TOLD} at most."}
    )
    more_issues = fields.Integer(metadata={"description": "How many there are beyond `issues`."})
    checks = fields.List(fields.Nested(CheckView))
