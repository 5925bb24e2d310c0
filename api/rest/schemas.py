"""What requests and answers are made of: strict bodies in, views of stored documents out, both in camelCase."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, missing, validate

from common.model.names import is_one_line

LIST_DEFAULT, LIST_MOST = 25, 100
NAME_MOST, NOTE_MOST, ID_MOST = 120, 500, 120


def camel(name: str) -> str:
    """`flow_id` as JSON spells it: `flowId`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Body(Schema):
    """What a caller sends, as a body or as query parameters. Anything it does not name is refused."""

    class Meta:
        unknown = RAISE

    error_messages = {  # noqa: RUF012 - as marshmallow declares it
        "unknown": "There is no such field.",
        "type": "This must be an object.",
    }

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.data_key = camel(field_name)


class View(Schema):
    """What we answer with: a stored document's fields, each always there, null only where `allow_none` says so.

    A field `flow_id` reads the document's `flowId`, `id` its `_id`; `attribute` names another.
    """

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.data_key = camel(field_name)
        if field_obj.attribute is None:
            field_obj.attribute = "_id" if field_name == "id" else camel(field_name)
        field_obj.required = True  # generated clients may rely on it

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """A document that does not say reads as null."""
        value = super().get_attribute(obj, attr, default)
        return None if value is missing else value


class Moment(fields.DateTime):
    """A time: ISO 8601 in UTC with milliseconds (`2026-11-22T12:00:00.000Z`); in bodies any offset will do."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_: Any) -> Any:
        del attr, obj
        if value is None:
            return None
        return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> datetime:
        moment = super()._deserialize(value, attr, data, **more)
        if moment.tzinfo is None:
            raise ValidationError("The time needs its offset, for example a Z at the end.")
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise ValidationError("There is no such time.") from None


class Name(fields.String):
    """A line of text that names something: not blank, blanks around it do not count."""

    def __init__(self, *, most: int = NAME_MOST, **options: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=most), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        text = super()._deserialize(value, attr, data, **more)
        if not is_one_line(text):
            raise ValidationError("A name is one line of text.")
        return text.strip()


class Id(fields.String):
    """An id of ours."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=ID_MOST), **options)


class Listed(fields.Field[list[str]]):
    """Some of the given words, separated by commas: `?status=ACTIVE,PAUSED`."""

    def __init__(self, choices: tuple[str, ...], **options: Any) -> None:
        super().__init__(metadata={"description": f"Separated by commas: {', '.join(choices)}."}, **options)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> list[str]:
        del attr, data
        words = [word.strip() for word in value.split(",")] if isinstance(value, str) else []
        if not words or any(word not in self.choices for word in words):
            raise ValidationError(f"Must be some of {', '.join(self.choices)}, separated by commas.")
        return list(dict.fromkeys(words))


class Anything(fields.Raw):
    """Any JSON value."""


class JsonObject(fields.Dict):
    """Any JSON object."""


class PageQuery(Body):
    """Which part of a list."""

    limit = fields.Integer(
        load_default=LIST_DEFAULT,
        validate=validate.Range(1, LIST_MOST),
        metadata={"description": "Most entries to answer with."},
    )
    cursor = fields.String(
        load_default=None,
        validate=validate.Length(max=600),
        metadata={"description": "`nextCursor` of the page before; none for the first one."},
    )


@cache
def page_of(view: type[View]) -> type[View]:
    """The schema of a page of these."""
    made: Any = View.from_dict(
        {
            "items": fields.List(fields.Nested(view)),
            "next_cursor": fields.String(
                allow_none=True,
                metadata={"description": "Ask for the next page with it; null on the last one."},
            ),
        },
        name=f"{view.__name__.removesuffix('View')}Page",
    )
    return made  # type: ignore[no-any-return]


class ErrorBody(View):
    """What is wrong with a request."""

    code = fields.String(metadata={"description": "One of docs/errors.md; programs go by it."})
    message = fields.String(metadata={"description": "For people; may change."})
    fields_ = fields.Dict(
        data_key="fields",
        attribute="fields",
        metadata={"description": "More on it: for a body, why each field is refused."},
    )
    request_id = fields.String(metadata={"description": "Stands in our log, too."})

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        super().on_bind_field(field_name.rstrip("_"), field_obj)


class ErrorView(View):
    """The one shape of every error answer."""

    error = fields.Nested(ErrorBody)
