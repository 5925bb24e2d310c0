"""The fields of a node's settings: each reads one JSON value, says what is wrong with it, and describes itself.

A settings class is a frozen dataclass whose attributes are declared with the functions below; their return
types are what the attribute holds once it is read, so that the type checker knows them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, TypeVar

from marshmallow import ValidationError, fields
from marshmallow import missing as MISSING  # noqa: N812 - marshmallow's own spelling is a class-like constant

from common.flow.message_limits import is_blank, units
from common.flow.variables import clean_text
from common.model.issues import Issue

E = TypeVar("E", bound=StrEnum)
D = TypeVar("D", bound=float | None)

FIELD = "field"  # the key under which a dataclass field carries its description


@dataclasses.dataclass(frozen=True, slots=True)
class OnlyIf:
    """The field counts only while another one (its JSON name) holds one of these values."""

    name: str
    values: tuple[str | bool, ...]
    default: str | bool = ""

    def holds(self, data: Mapping[str, Any] | None) -> bool:
        value = (data or {}).get(self.name)
        return (self.default if value is None else value) in self.values


class SettingField(fields.Field[Any]):
    """A field with what a form needs: label, help, widget, limits."""

    widget: ClassVar[str]

    def __init__(
        self,
        label: str,
        *,
        help: str = "",  # noqa: A002 - the word that forms use
        required: bool = False,
        default: Any = MISSING,
        only_if: OnlyIf | None = None,
    ) -> None:
        super().__init__(
            required=required and only_if is None,
            load_default=MISSING if required and only_if is None else default,
            allow_none=True,
        )
        self.label = label
        self.help = help
        self.is_needed = required
        self.default = default
        self.only_if = only_if

    def refuse(self, code: str, message: str) -> ValidationError:
        """The error to raise for a wrong value."""
        return ValidationError([Issue.error(code, message)])

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        """The value in its own type. Null and a missing key are alike; a field that does not count is empty."""
        if self.only_if is not None and not self.only_if.holds(data):
            return self.empty()
        if value is MISSING or value is None:
            if self.is_needed:
                raise self.refuse("field.required", f'"{self.label}" is missing.')
            return self.empty()
        return self._deserialize(value, attr, data, **kwargs)

    def empty(self) -> Any:
        """What stands for a value that is not given."""
        return None if self.default is MISSING else self.default

    def limits(self) -> dict[str, Any]:
        """The limits that a form shows and checks."""
        return {}

    def shown_default(self) -> Any:
        """The default as JSON."""
        return None if self.default is MISSING else self.default


class TextField(SettingField):
    """A plain text."""

    widget = "text"

    def __init__(self, label: str, *, max_length: int, **rest: Any) -> None:
        super().__init__(label, **{"default": "", **rest})
        self.max_length = max_length

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.read_text(value)

    def read_text(self, value: object) -> str:
        if not isinstance(value, str):
            raise self.refuse("field.type", f'"{self.label}" must be a text.')
        value = clean_text(value)
        if self.is_needed and is_blank(value):
            raise self.refuse("field.required", f'"{self.label}" is empty.')
        length = units(value)
        if length > self.max_length:
            raise self.refuse(
                "field.too_long", f'"{self.label}" has {length} characters; {self.max_length} are allowed.'
            )
        return value

    def limits(self) -> dict[str, Any]:
        return {"maxLength": self.max_length}


class NumberField(SettingField):
    """A number within bounds. `above` is a bound that the number itself must not be."""

    widget = "number"

    def __init__(
        self,
        label: str,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
        whole: bool = False,
        **rest: Any,
    ) -> None:
        super().__init__(label, **rest)
        self.minimum, self.maximum, self.above, self.whole = minimum, maximum, above, whole

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse("field.type", f'"{self.label}" must be a number.')
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self.refuse("field.type", f'"{self.label}" must be a number.')
            value = int(value) if value.is_integer() else value
        if self.whole and not isinstance(value, int):
            raise self.refuse("field.type", f'"{self.label}" must be a whole number.')
        self._check_bounds(value)
        return value

    def _check_bounds(self, value: float) -> None:
        if self.above is not None and value <= self.above:
            raise self.refuse("field.range", f'"{self.label}" must be more than {self.above:g}.')
        if self.minimum is not None and value < self.minimum:
            raise self.refuse("field.range", f'"{self.label}" must be at least {self.minimum:g}.')
        if self.maximum is not None and value > self.maximum:
            raise self.refuse("field.range", f'"{self.label}" must be at most {self.maximum:g}.')

    def limits(self) -> dict[str, Any]:
        named = {"minimum": self.minimum, "maximum": self.maximum, "above": self.above}
        return {"whole": self.whole} | {name: bound for name, bound in named.items() if bound is not None}


class FlagField(SettingField):
    """Yes or no."""

    widget = "checkbox"

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, bool):
            raise self.refuse("field.type", f'"{self.label}" must be true or false.')
        return value


class ChoiceField(SettingField):
    """One of a few words. `labels` says how each is shown."""

    widget = "select"

    def __init__(self, label: str, *, choices: type[StrEnum], labels: Mapping[str, str], **rest: Any) -> None:
        super().__init__(label, **rest)
        self.choices, self.labels = choices, labels

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, str) or value not in self.choices.__members__.values():
            known = ", ".join(choice.value for choice in self.choices)
            raise self.refuse("field.choice", f'"{self.label}" must be one of: {known}.')
        return self.choices(value)

    def limits(self) -> dict[str, Any]:
        return {
            "choices": [
                {"value": choice.value, "label": self.labels.get(choice.value, choice.value.capitalize())}
                for choice in self.choices
            ]
        }


class WordsField(SettingField):
    """A list of short texts; blank ones are left out."""

    widget = "words"

    def __init__(self, label: str, *, maximum: int, max_length: int, **rest: Any) -> None:
        super().__init__(label, **{"default": (), **rest})
        self.maximum, self.max_length = maximum, max_length

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.refuse("field.type", f'"{self.label}" must be a list of texts.')
        words = tuple(word.strip() for word in value if not is_blank(word))
        if self.is_needed and not words:
            raise self.refuse("field.required", f'"{self.label}" is empty.')
        if len(words) > self.maximum:
            raise self.refuse("field.too_many", f'"{self.label}" takes at most {self.maximum}.')
        if any(units(word) > self.max_length for word in words):
            raise self.refuse("field.too_long", f'"{self.label}": at most {self.max_length} characters each.')
        return words

    def limits(self) -> dict[str, Any]:
        return {"maxItems": self.maximum, "maxLength": self.max_length}

    def shown_default(self) -> Any:
        return list(self.default)


class NextNodeField(TextField):
    """A "next node" as the specification writes it in a config; it becomes an edge when the flow is read.

    `handle` is the exit it stands for; None inside a row or a group that is the exit itself.
    """

    widget = "nextNode"

    def __init__(self, label: str, *, handle: str | None, **rest: Any) -> None:
        super().__init__(label, max_length=128, **{"default": None, **rest})
        self.handle = handle

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.read_text(value) or None

    def limits(self) -> dict[str, Any]:
        return {"handle": self.handle}


class ItemIdField(TextField):
    """The lasting id of a row, which names its exit. Rows without one get `<prefix>_<position>`."""

    widget = "hidden"

    def __init__(self, label: str, *, prefix: str) -> None:
        super().__init__(label, max_length=64)
        self.prefix = prefix

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = self.read_text(value)
        if not is_id(text):
            raise self.refuse(
                "field.id",
                f'"{self.label}" may hold letters, digits, "_" and "-" only, and must not be empty.',
            )
        return text

    def limits(self) -> dict[str, Any]:
        return {"maxLength": self.max_length, "prefix": self.prefix}


def is_id(text: str) -> bool:
    """Whether the text can name a node, a row or an exit: it becomes part of keys and of button ids."""
    return 0 < len(text) <= 64 and text.isascii() and text.replace("_", "a").replace("-", "a").isalnum()  # noqa: PLR2004 - the limit that the messages name


def declare(field: SettingField) -> Any:
    """A dataclass field that carries its description. Every settings object is built from JSON, so no default."""
    return dataclasses.field(metadata={FIELD: field})


def text(label: str, *, max_length: int, **rest: Any) -> str:
    """A plain text; "" where none is given."""
    return declare(TextField(label, max_length=max_length, **rest))  # type: ignore[no-any-return]


def number(label: str, *, default: D, **rest: Any) -> float | D:
    """A number; the default where none is given."""
    return declare(NumberField(label, default=default, **rest))  # type: ignore[no-any-return]


def required_number(label: str, **rest: Any) -> float:
    """A number that must be given."""
    return declare(NumberField(label, required=True, **rest))  # type: ignore[no-any-return]


def whole(label: str, *, default: D, **rest: Any) -> int | D:
    """A whole number; the default where none is given."""
    return declare(NumberField(label, default=default, whole=True, **rest))  # type: ignore[no-any-return]


def flag(label: str, *, default: bool, **rest: Any) -> bool:
    """Yes or no."""
    return declare(FlagField(label, default=default, **rest))  # type: ignore[no-any-return]


def choice(label: str, *, default: E, labels: Mapping[str, str] | None = None, **rest: Any) -> E:
    """One of the default's own kind."""
    return declare(  # type: ignore[no-any-return]
        ChoiceField(label, choices=type(default), labels=labels or {}, default=default, **rest)
    )


def words(label: str, *, maximum: int, max_length: int, **rest: Any) -> tuple[str, ...]:
    """A list of short texts."""
    return declare(WordsField(label, maximum=maximum, max_length=max_length, **rest))  # type: ignore[no-any-return]


def next_node(handle: str | None = None, label: str = "Next node") -> str | None:
    """The node that an exit leads to, as a config names it."""
    return declare(NextNodeField(label, handle=handle))  # type: ignore[no-any-return]


def item_id(label: str, prefix: str) -> str:
    """The lasting id of a row."""
    return declare(ItemIdField(label, prefix=prefix))  # type: ignore[no-any-return]
