"""What goes in and out when flows go live and offline."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from api.rest.schemas import NOTE_MOST, Body, Id, Moment, Name, View
from api.schemas.validation import IssueView
from common.clock import utc_now
from common.flow.deploy_plan import Fate
from common.model.flow_settings import RunningConversations

REASON_MOST = 200
_CHOICES = [choice.value for choice in RunningConversations]
_SEEN = "The live version that you saw when you decided (null: none). If another one is live by now, nothing happens."


def _running() -> fields.String:
    return fields.String(
        load_default=RunningConversations.FINISH_ON_OLD.value,
        validate=validate.OneOf(_CHOICES),
        metadata={
            "description": "FINISH_ON_OLD: conversations under way go on to the end of the version that they are on. "
            "RESTART_ON_NEW: each begins again on the new version when something happens to it next."
        },
    )


class DeployPlanQuery(Body):
    """What would go live."""

    version_id = Id(
        load_default=None, metadata={"description": "A rollback to this version; without one: the draft."}
    )


class Deployment(Body):
    """`revision`: the draft's, as you saw it. If it was saved since, nothing goes live."""

    revision = fields.Integer(required=True, strict=True, validate=validate.Range(1, 2**53))
    note = fields.String(load_default="", validate=validate.Length(max=NOTE_MOST))
    running_conversations = _running()
    live_version_id = Id(allow_none=True, metadata={"description": _SEEN})


class Rollback(Body):
    """`versionId`: which version to go back to; without one, the version that was live before."""

    version_id = Id(load_default=None)
    note = fields.String(load_default="", validate=validate.Length(max=NOTE_MOST))
    running_conversations = _running()
    live_version_id = Id(allow_none=True, metadata={"description": _SEEN})


def _is_ahead(moment: object) -> None:
    if moment is not None and moment <= utc_now():  # type: ignore[operator]
        raise ValidationError("This time is over already.")


class NewDeployLock(Body):
    """Why nothing may be deployed, and until when (null: until the lock is taken off)."""

    reason = Name(required=True, most=REASON_MOST)
    until = Moment(load_default=None, allow_none=True, validate=_is_ahead)


class DeployLockView(View):
    """A lock. `flowId` is null where it holds for the whole bot."""

    flow_id = fields.String(allow_none=True)
    reason = fields.String()
    by = fields.String(allow_none=True, metadata={"description": "An e-mail address."})
    at = Moment()
    until = Moment(allow_none=True)


class DeployedVersionView(View):
    """A version that is or was live. A rollback's version is a copy: `copyOf` names the original."""

    id = fields.String()
    flow_id = fields.String()
    version_number = fields.Integer()
    is_production = fields.Boolean()
    revision = fields.Integer(allow_none=True, metadata={"description": "Of the draft that it was."})
    note = fields.String()
    deployed_by = fields.String(allow_none=True, metadata={"description": "An e-mail address."})
    deployed_at = Moment()
    running_conversations = fields.String(allow_none=True, validate=validate.OneOf(_CHOICES))
    copy_of = fields.String(allow_none=True)
    copy_of_number = fields.Integer(allow_none=True)
    rolled_back_from = fields.String(
        allow_none=True, metadata={"description": "The version that was live before; null for a deploy."}
    )


class PreconditionView(View):
    """Something that must be so before a flow goes live."""

    name = fields.String(validate=validate.OneOf(["WHATSAPP", "VALIDATION", "LOCK"]))
    is_met = fields.Boolean()
    message = fields.String()


class NodeStandingView(View):
    """A node at which conversations stand, and what the deploy does to it."""

    node_id = fields.String()
    label = fields.String()
    node_type = fields.String()
    conversations = fields.Integer()
    fate = fields.String(validate=validate.OneOf([fate.value for fate in Fate]))


class VersionStandingView(View):
    """A version on which conversations are under way. `restartsAnyway`: an earlier deploy said so."""

    version_id = fields.String()
    version_number = fields.Integer()
    deployed_at = Moment(allow_none=True)
    is_live = fields.Boolean()
    restarts_anyway = fields.Boolean()
    conversations = fields.Integer()
    nodes = fields.List(fields.Nested(NodeStandingView))


class ChoiceView(View):
    """How many conversations go on to their end, and how many begin again."""

    finish = fields.Integer()
    restart = fields.Integer()


class FatesView(View):
    """How many conversations stand at nodes that are kept, changed or gone."""

    kept = fields.Integer(attribute=Fate.KEPT.value)
    changed = fields.Integer(attribute=Fate.CHANGED.value)
    disappears = fields.Integer(attribute=Fate.DISAPPEARS.value)


class DeployPlanView(View):
    """What a deploy would do now. Counted are customers' conversations under way, not tests, not ended ones."""

    target_version_id = fields.String(allow_none=True, metadata={"description": "null: the draft."})
    target_version_number = fields.Integer(allow_none=True)
    target_revision = fields.Integer(allow_none=True, metadata={"description": "The draft's."})
    live_version_id = fields.String(allow_none=True)
    live_version_number = fields.Integer(allow_none=True)
    is_deployable = fields.Boolean(metadata={"description": "Every precondition is met."})
    preconditions = fields.List(fields.Nested(PreconditionView))
    error_count = fields.Integer()
    warning_count = fields.Integer()
    conversations = fields.Integer()
    versions = fields.List(
        fields.Nested(VersionStandingView), metadata={"description": "The newest first, 20 at most."}
    )
    conversations_on_older_versions = fields.Integer(
        metadata={"description": "On versions that are not listed."}
    )
    on_nodes = fields.Nested(FatesView)
    finish_on_old = fields.Nested(ChoiceView)
    restart_on_new = fields.Nested(ChoiceView)


class DeployedView(View):
    """What went live, what it replaced, and what that means for the conversations under way."""

    version = fields.Nested(DeployedVersionView)
    replaced_version_id = fields.String(allow_none=True)
    conversations = fields.Integer()
    finish = fields.Integer()
    restart = fields.Integer()
    on_nodes = fields.Nested(FatesView)
    issues = fields.List(
        fields.Nested(IssueView),
        metadata={"description": "Nothing that stands in the way, but worth a look."},
    )
    more_issues = fields.Integer(metadata={"description": "How many there are beyond `issues`."})


class UndeployedView(View):
    """What was live, and how many conversations go on with this flow to their end."""

    version = fields.Nested(DeployedVersionView)
    conversations = fields.Integer()
