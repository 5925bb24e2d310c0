"""Fields that hold something of our language, compiled when the flow is loaded: templates, expressions, paths."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from common.flow.expressions import Expression, ExpressionError, compile_expression
from common.flow.forecast import Says
from common.flow.json_path import JsonPath, JsonPathError, compile_json_path
from common.flow.patterns import Pattern, PatternError, compile_pattern
from common.flow.settings_fields import SettingField, TextField, declare
from common.flow.templates import (
    HeaderTemplate,
    JsonTemplate,
    Template,
    TemplateError,
    UrlTemplate,
    check_header_name,
    compile_header_template,
    compile_json_template,
    compile_template,
    compile_url_template,
)
from common.flow.variables import check_name

LONG_TEXT = 4096
EXPRESSION_MAX = 1000
PLACEHOLDER_ROOM = 200  # a short field's text may be longer while its placeholders are not filled in

Compile = Callable[[str], Any]


# Compiled texts are kept: a flow is read again after each change, most of it the same.
_SHORT = 500  # characters


def _compile(compile_text: Compile, source: str) -> Any:
    return compile_text(source)


_compiled = lru_cache(maxsize=2048)(_compile)
_compiled_long = lru_cache(maxsize=256)(_compile)  # fewer, for each takes more room


class CompiledField(TextField):
    """A text that is compiled."""

    def __init__(self, label: str, compile_text: Compile, code: str, widget: str, **rest: Any) -> None:
        super().__init__(label, **rest)
        self.compile_text, self.code, self.own_widget = compile_text, code, widget

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return self.compile(value)

    def compile(self, value: object) -> Any:
        if isinstance(value, str) and "{{" in value and len(value) <= PLACEHOLDER_ROOM:
            source = value
        else:
            source = self.read_text(value)
        try:
            return (_compiled if len(source) <= _SHORT else _compiled_long)(self.compile_text, source)
        except (TemplateError, ExpressionError, PatternError, JsonPathError) as wrong:
            raise self.refuse(self.code, f'"{self.label}": {wrong}') from wrong

    def limits(self) -> dict[str, Any]:
        return super().limits() | {"placeholders": self.code == "template.syntax"}


class TemplateField(CompiledField):
    """A text with placeholders; where none is given, the empty template.

    `says` tells what becomes of it if it is sent; with `is_answer`, it is sent after the customer has written.
    """

    def __init__(
        self, *words: Any, says: Says | None = None, is_answer: bool = False, max_length: int, **rest: Any
    ) -> None:
        super().__init__(*words, max_length=max_length, **rest)
        self.says, self.is_answer = says, is_answer

    def empty(self) -> Any:
        return self.compile_text(self.default)


class OptionalCompiledField(CompiledField):
    """Something compiled that may be absent: blank counts as not given."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not self.is_needed and isinstance(value, str) and not value.strip():
            return None
        return self.compile(value)

    def empty(self) -> Any:
        return None


class JsonTemplateField(OptionalCompiledField):
    """A JSON document with placeholders, written as text or given as the document itself."""

    def compile(self, value: object) -> Any:
        if isinstance(value, dict | list):
            try:
                value = json.dumps(value, ensure_ascii=False, allow_nan=False)
            except (ValueError, RecursionError, TypeError):
                raise self.refuse(self.code, f'"{self.label}" is not JSON or too deeply nested.') from None
        return super().compile(value)


class VariableField(TextField):
    """The name of a session variable. With `writes`, a run of the node may set it."""

    def __init__(self, label: str, *, writes: bool, **rest: Any) -> None:
        super().__init__(label, max_length=64, **rest)
        self.writes = writes

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        name = self.read_text(value)
        if not name and not self.is_needed:
            return name
        if wrong := check_name(name):
            raise self.refuse("variable.name", f'"{self.label}": {wrong}')
        return name


class HeaderNameField(TextField):
    """The name of an HTTP header."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        name = self.read_text(value)
        if wrong := check_header_name(name):
            raise self.refuse("field.header_name", wrong)
        return name


class TypedTemplateField(JsonTemplateField):
    """A value whose type stands in another field: text, or JSON if that field names one of `json_types`."""

    def __init__(self, label: str, *, type_name: str, json_types: tuple[str, ...], **rest: Any) -> None:
        super().__init__(label, compile_template, "template.syntax", "value", **rest)
        self.type_name, self.json_types = type_name, json_types

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> Any:
        chosen = (data or {}).get(self.type_name)
        is_json = isinstance(chosen, str) and chosen in self.json_types
        if isinstance(value, bool | int | float):
            value = json.dumps(value)
        del attr
        self_compile = compile_json_template if is_json else compile_template
        if isinstance(value, dict | list) and not is_json:
            raise self.refuse("field.type", f'"{self.label}" must be a text.')
        return JsonTemplateField(
            self.label, self_compile, self.code, "json", max_length=self.max_length, required=is_json
        ).compile(value)

    def empty(self) -> Any:
        return compile_template("")

    def limits(self) -> dict[str, Any]:
        return super().limits() | {"typeField": self.type_name, "jsonTypes": list(self.json_types)}


class OperandField(TextField):
    """One side of a comparison: a placeholder alone is its value, with its type; anything else is text.

    With `bare`, a text without braces names a variable.
    """

    widget = "operand"

    def __init__(self, label: str, *, bare: bool, **rest: Any) -> None:
        super().__init__(label, max_length=EXPRESSION_MAX, **rest)
        self.bare = bare

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        source = self.read_text(str(value) if isinstance(value, int | float) else value).strip()
        if self.bare and "{{" not in source:
            source = f"{{{{{source}}}}}"
        try:
            return compile_json_template(source) if _is_placeholder(source) else compile_template(source)
        except TemplateError as wrong:
            raise self.refuse("template.syntax", f'"{self.label}": {wrong}') from wrong

    def empty(self) -> Any:
        return compile_template("")

    def limits(self) -> dict[str, Any]:
        return super().limits() | {"bare": self.bare}


def _is_placeholder(source: str) -> bool:
    return source.startswith("{{") and source.find("}}") == len(source) - 2


def widget_of(field: SettingField) -> str:
    """The name of the control that draws the field."""
    own: str = getattr(field, "own_widget", field.widget)
    return own


def template(
    label: str, *, max_length: int = LONG_TEXT, widget: str = "textarea", default: str = "", **rest: Any
) -> Template:
    """A text with placeholders."""
    return declare(  # type: ignore[no-any-return]
        TemplateField(
            label, compile_template, "template.syntax", widget, max_length=max_length, default=default, **rest
        )
    )


def url_template(label: str, **rest: Any) -> UrlTemplate:
    """A web address with placeholders; required."""
    return declare(  # type: ignore[no-any-return]
        OptionalCompiledField(
            label, compile_url_template, "template.syntax", "url", max_length=2048, required=True, **rest
        )
    )


def header_name(label: str) -> str:
    """The name of an HTTP header; required."""
    return declare(HeaderNameField(label, max_length=100, required=True))  # type: ignore[no-any-return]


def header_template(label: str) -> HeaderTemplate:
    """The value of an HTTP header."""
    return declare(  # type: ignore[no-any-return]
        TemplateField(label, compile_header_template, "template.syntax", "template", max_length=LONG_TEXT)
    )


def json_template(label: str, **rest: Any) -> JsonTemplate | None:
    """A JSON document with placeholders, or nothing."""
    return declare(  # type: ignore[no-any-return]
        JsonTemplateField(label, compile_json_template, "template.syntax", "json", max_length=16_384, **rest)
    )


def typed_template(
    label: str, *, type_name: str, json_types: tuple[str, ...], **rest: Any
) -> Template | JsonTemplate:
    """A value written as the type in another field asks."""
    return declare(  # type: ignore[no-any-return]
        TypedTemplateField(label, type_name=type_name, json_types=json_types, max_length=16_384, **rest)
    )


def expression(label: str, **rest: Any) -> Expression | None:
    """A condition, or nothing."""
    return declare(  # type: ignore[no-any-return]
        OptionalCompiledField(
            label, compile_expression, "expression.syntax", "expression", max_length=EXPRESSION_MAX, **rest
        )
    )


def pattern(label: str, **rest: Any) -> Pattern | None:
    """A regular expression, or nothing."""
    return declare(  # type: ignore[no-any-return]
        OptionalCompiledField(label, compile_pattern, "pattern.syntax", "pattern", max_length=500, **rest)
    )


def json_path(label: str) -> JsonPath:
    """A place in a JSON document; required."""
    return declare(  # type: ignore[no-any-return]
        OptionalCompiledField(
            label, compile_json_path, "json_path.syntax", "jsonPath", max_length=200, required=True
        )
    )


def variable(label: str, *, writes: bool = True, **rest: Any) -> str:
    """The name of a session variable; "" where none is given."""
    return declare(VariableField(label, writes=writes, **rest))  # type: ignore[no-any-return]


def operand(label: str, *, bare: bool = False, **rest: Any) -> Template | JsonTemplate:
    """One side of a comparison."""
    return declare(OperandField(label, bare=bare, **rest))  # type: ignore[no-any-return]
