"""Templates: texts, JSON bodies, addresses and headers, whose shape no value can change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.templates import (
    FillError,
    TemplateError,
    check_header_name,
    compile_header_template,
    compile_json_template,
    compile_template,
    compile_url_template,
)
from common.flow.text_template import MAX_FILLED_LENGTH
from common.flow.variables import MappingScope, to_text
from tests.unit.language_strategies import assert_inside, calm, near_language, scopes, values

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.flow.variables import Scope
    from common.model.values import Value

SCOPE = MappingScope(
    {
        "name": "Ada",
        "empty": "",
        "none": None,
        "zero": 0,
        "no": False,
        "price": 3.0,
        "user": {"profile": {"email": "a@b.c", "first-name": "A"}},
        "orders": [{"id": 7}, {"id": 8}],
        "brace": "{{name}}",
        "trueish": "T",
        "nullable": "N",
    }
)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello", "Hello"),
        ("", ""),
        ("Hello {{name}}!", "Hello Ada!"),
        ("  {{ name }}\n", "  Ada\n"),
        ("{{\n name\t}}", "Ada"),
        ("{{user.profile.email}} {{orders[0].id}} {{orders[-1].id}}", "a@b.c 7 8"),
        ("{{user.profile.first-name}}{{user['profile'][\"email\"]}}", "Aa@b.c"),
        ("{{price}} {{zero}} {{no}} {{orders}}", '3 0 false [{"id":7},{"id":8}]'),
        ("{{nobody}}{{none}}{{empty}}", ""),
        ("{{user.nothing.here}}{{orders[9]}}{{name.first}}", ""),
        ('{{nobody || "Guest"}}', "Guest"),
        ("{{none || 'it\\'s'}} {{empty||5}} {{nobody||true}}", "it's 5 true"),
        ("{{zero || 1}} {{no || true}}", "0 false"),
        ("{{nobody || empty || name || 'x'}}", "Ada"),
        ("{{nobody || empty}}", ""),
        ('{{nobody || "a\\n\\"b\\" \\d"}}', 'a\n"b" \\d'),
        ('{{nobody || "}}"}}', "}}"),
        ('{{"{{"}} {{ "}}" }}', "{{ }}"),
        ("{ } }} {name} {{name}}}", "{ } }} {name} Ada}"),
        ("{{{name}}}", "{Ada}"),
        ("{{brace}}", "{{name}}"),
        ("{{trueish}}{{nobody || nullable}}", "TN"),
        ("{{nobody || 123456789012345678901}}", "123456789012345678901"),
        ("{{user.__class__}}{{name.__init__}}", ""),
    ],
)
def test_what_a_text_becomes(template: str, text: str) -> None:
    assert compile_template(template).fill(SCOPE) == text


def test_what_a_template_tells_about_itself() -> None:
    template = compile_template("{{a.b || c}} {{c}}")
    assert template.names == {"a", "c"}
    assert (template.is_constant, template.source) == (False, "{{a.b || c}} {{c}}")
    constant = compile_template("plain")
    assert (constant.names, constant.is_constant) == (frozenset(), True)
    assert constant.fill(SCOPE) is constant.fill(SCOPE)


@pytest.mark.parametrize(
    ("template", "position", "why"),
    [
        ("Hi {{name", 3, "never closed"),
        ("{{", 0, "never closed"),
        ("{{a}} {{b}", 6, "never closed"),
        ("Hi {{}}", 5, "name is missing"),
        ("{{ }}", 3, "name is missing"),
        ("{{a || }}", 7, "Something is missing"),
        ("{{a.}}", 4, "Something is missing"),
        ("{{first name}}", 8, "“name” does not belong"),
        ("{{1st}}", 2, "“1st” does not belong"),
        ("{{a | b}}", 4, "“|” does not belong"),
        ("{{a || “b”}}", 7, "straight quotes"),
        ("{{it's}}", 4, "does not belong"),
        ("{{a[x]}}", 4, "does not belong"),
        ("{{a()}}", 3, "does not belong"),
        ("x" * 65537, 65536, "longer than 65,536"),
        ("{{a}}" * 201, 0, "at most 200"),
    ],
)
def test_a_wrong_template_says_where_and_why(template: str, position: int, why: str) -> None:
    with pytest.raises(TemplateError) as refused:
        compile_template(template)
    assert why in refused.value.message
    assert refused.value.position == position


def test_a_filled_text_is_bounded() -> None:
    filled = compile_template("{{a}}" * 100).fill(MappingScope({"a": "x" * 100_000}))
    assert len(filled) == MAX_FILLED_LENGTH


# --- JSON


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ('{"email": "{{user.profile.email}}", "name": "{{name}}"}', {"email": "a@b.c", "name": "Ada"}),
        ('{"n": {{zero}}, "t": "{{zero}}"}', {"n": 0, "t": "0"}),
        ('{"a":{"b":{{orders}}}}', {"a": {"b": [{"id": 7}, {"id": 8}]}}),
        ('[{{nobody}}, {{none}}, {{nobody || "x"}}, {{nobody || null}}]', [None, None, "x", None]),
        ("{{user}}", {"profile": {"email": "a@b.c", "first-name": "A"}}),
        ('"{{name}}"', "Ada"),
        ('{"x": "{{nobody || \'G\'}} {{nobody || \\"H\\"}}"}', {"x": "G H"}),
        (
            '{"a": "line\nbreak", "b": "\\u00e9\\n", "c": -1.5e2}',
            {"a": "line\nbreak", "b": "é\n", "c": -150.0},
        ),
        ("[true, false, null, [], {}]", [True, False, None, [], {}]),
        ('{"}}": "{ }"}', {"}}": "{ }"}),
    ],
)
def test_what_a_body_becomes(template: str, body: Any) -> None:
    assert compile_json_template(template).fill(SCOPE) == body


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "incomplete"),
        ("{", "incomplete"),
        ('{"a": 1,}', "not valid JSON"),
        ("{'a': 1}", "straight double quotes"),
        ('{"{{name}}": 1}', "cannot be the name of a JSON field"),
        ('{"\\u007b{x}}": 1}', "cannot be the name of a JSON field"),
        ("{ {{name}}: 1}", "cannot be the name of a JSON field"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": "{{name || "x"}}"}', "single quotes"),
        ('{"a": "{{name"}', "never closed"),
        ('{"a": {{}}}', "name is missing"),
        ("[NaN]", "not valid JSON"),
        ("[1e999]", "too large"),
        ("[" + "9" * 5000 + "]", "too large"),
        ("[01]", "not valid JSON"),
        ('["\\x"]', "no JSON escape"),
        ("[" * 21 + "]" * 21, "more than 20"),
        ("[" * 60_000, "incomplete"),
        ("[" + "{{a}}," * 200 + "1, {{a}}]", "at most 200"),
        (" " * 65537, "longer than"),
    ],
)
def test_a_wrong_body_says_why(template: str, why: str) -> None:
    with pytest.raises(TemplateError) as refused:
        compile_json_template(template)
    assert why in refused.value.message


def test_a_body_is_new_each_time_and_bounded() -> None:
    template = compile_json_template('{"a": {{user}}, "b": []}')
    first: Any = template.fill(SCOPE)
    first["a"]["profile"].clear()
    first["b"].append(1)
    assert template.fill(SCOPE) == {"a": {"profile": {"email": "a@b.c", "first-name": "A"}}, "b": []}
    many = compile_json_template(json.dumps(["{{a}}"] * 10))
    with pytest.raises(FillError) as refused:
        many.fill(MappingScope({"a": "x" * 150_000}))
    assert refused.value.code == "fill.body_too_large"


@calm
@given(values)
def test_no_value_changes_the_shape_of_a_body(value: Value) -> None:
    template = compile_json_template('{"a": "{{a}}", "b": ["x{{a}}y", {"c": {{a}}}], "d": 1}')
    try:
        body: Any = template.fill(MappingScope({"a": value}))
    except FillError as refused:
        assert refused.code == "fill.value"  # noqa: PT017 - a number that JSON does not know
        return
    again = json.loads(json.dumps(body, allow_nan=False, ensure_ascii=False).encode())
    assert list(again) == ["a", "b", "d"]
    assert isinstance(again["a"], str)
    assert again["b"][0] == f"x{again['a']}y"
    assert list(again["b"][1]) == ["c"]
    assert (len(again["b"]), again["d"]) == (2, 1)


# --- addresses

BOT = MappingScope(
    {"apiBase": "https://api.test/v1/", "host": "api.test", "port": 8443, "hook": "http://h.test/x?k=1"}
)


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("https://api.crm.com/leads", "https://api.crm.com/leads"),
        (" HTTPS://h.test ", "https://h.test"),
        (
            "https://h.test/users/{{name}}?q={{user.profile.email}}#{{name}}",
            "https://h.test/users/Ada?q=a%40b.c#Ada",
        ),
        ("https://h.test/{{orders}}", "https://h.test/%5B%7B%22id%22%3A7%7D%2C%7B%22id%22%3A8%7D%5D"),
        ("https://h.test?{{name}}={{empty}}", "https://h.test?Ada="),
        ("https://h.test/ü/%41%zz?a[b]=ö", "https://h.test/%C3%BC/%41%25zz?a%5Bb%5D=%C3%B6"),
        ("{{apiBase}}/leads/{{name}}", "https://api.test/v1/leads/Ada"),
        ("{{apiBase}}", "https://api.test/v1/"),
        ("{{apiBase}}?a={{name}}", "https://api.test/v1/?a=Ada"),
        ("{{hook}}", "http://h.test/x?k=1"),
        ("https://{{host}}:{{port}}/x", "https://api.test:8443/x"),
        ("https://{{nobody || 'other.test'}}/x", "https://other.test/x"),
        ("https://u:{{port}}@h.test/", "https://u:8443@h.test/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("https://münchen.test/", "https://münchen.test/"),
    ],
)
def test_what_an_address_becomes(template: str, url: str) -> None:
    assert compile_url_template(template).fill(SCOPE, BOT) == url


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "begins with https://"),
        ("ftp://h.test", "begins with https://"),
        ("//h.test", "begins with https://"),
        ("javascript:alert(1)", "begins with https://"),
        ("https://", "no host"),
        ("https:///x", "no host"),
        ("https://h.test:99999/", "not valid"),
        ("https://h.test:0/", "not valid"),
        ("https://[::1/", "not valid"),
        ("https://a,b/", "not valid"),
        ("https://a@b@h.test/", "two @"),
        ("https://h.test/a b", "no spaces"),
        ("https://h.test\\@evil.test/", "no spaces, line breaks or backslashes"),
        ("https://h.test/\r\nX: 1", "no spaces, line breaks"),
        ("{{apiBase}}.evil.test/", "must go on with"),
        ("{{apiBase}}{{name}}", "must go on with"),
        ("{{scheme}}://h.test", "must go on with"),
        ("https://h.test/{{", "never closed"),
        ("https://h.test/" + "a" * 9000, "longer than"),
    ],
)
def test_a_wrong_address_says_why(template: str, why: str) -> None:
    with pytest.raises(TemplateError) as refused:
        compile_url_template(template)
    assert why in refused.value.message


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("https://{{name}}/", "fill.url_host_untrusted"),
        ("https://api.{{name}}.test/", "fill.url_host_untrusted"),
        ("https://{{name}}@h.test/", "fill.url_host_untrusted"),
        ("https://h.test:{{zero}}/", "fill.url_host_untrusted"),
        ("{{name}}", "fill.url_host_untrusted"),
        ("{{nobody}}/x", "fill.url_host_untrusted"),
        ("https://{{apiBase}}/", "fill.url_host"),
        ("{{host}}/x", "fill.url_base"),
        ("{{hook}}/x", "fill.url_base"),
        ("https://h.test/a/{{empty}}", "fill.url_segment_empty"),
        ("https://h.test/{{nobody}}/b", "fill.url_segment_empty"),
        ("https://h.test/?{{empty}}=1", "fill.url_parameter_empty"),
        ("https://h.test/{{dots}}", "fill.url_path_dots"),
        ("https://h.test/.{{dot}}/x", "fill.url_path_dots"),
        ("https://h.test/%2e{{dot}}/x", "fill.url_path_dots"),
        ("https://h.test/{{climb}}", "fill.url_path_dots"),
        ("https://h.test/{{dots}};v=1", "fill.url_path_dots"),
        ("https://h.test/{{long}}", "fill.url_too_long"),
    ],
)
def test_a_value_that_does_not_fit_an_address(template: str, code: str) -> None:
    scope = MappingScope(
        {
            "name": "evil.test",
            "zero": 0,
            "empty": "",
            "dots": "..",
            "dot": ".",
            "climb": "a/../../b",
            "long": "x" * 9000,
        }
    )
    with pytest.raises(FillError) as refused:
        compile_url_template(template).fill(scope, BOT)
    assert refused.value.code == code


def test_a_session_variable_cannot_pose_as_a_bot_variable() -> None:
    template = compile_url_template("{{apiBase}}/x?{{apiBase}}")
    posing = MappingScope({"apiBase": "https://evil.test"})
    assert template.fill(posing, BOT) == "https://api.test/v1/x?https%3A%2F%2Fevil.test"
    assert template.host_names == {"apiBase"}
    assert compile_url_template("https://h.test/{{name}}").host_names == frozenset()


@calm
@given(values, values)
def test_no_value_changes_the_shape_of_an_address(one: Value, other: Value) -> None:
    template = compile_url_template("https://h.test:81/a/{{a}}/x{{b}}y/?p={{a}}&{{b}}=q&r#f{{a}}")
    scope = MappingScope({"a": one, "b": other})
    try:
        url = template.fill(scope)
    except FillError:
        return
    parts = urlsplit(url)
    segments, parameters = parts.path.split("/"), parts.query.split("&")
    assert url.isascii()
    assert (parts.scheme, parts.netloc) == ("https", "h.test:81")
    assert segments[:2] == ["", "a"]
    assert len(segments) == 5
    assert not {".", "..", ""} & {unquote(segment) for segment in segments[1:4]}
    assert [parameter.count("=") for parameter in parameters] == [1, 1, 0]
    if "\ufffd" not in (text := to_text(one).encode(errors="replace").decode()):
        assert unquote(segments[2]) == unquote(parts.fragment[1:]) == text


@calm
@given(values)
def test_no_trusted_value_breaks_out_of_the_host(value: Value) -> None:
    template = compile_url_template("https://u:{{h}}@{{h}}.h.test/a?b")
    try:
        url = template.fill(MappingScope({}), MappingScope({"h": value}))
    except FillError:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.path, parts.query) == ("https", "/a", "b")
    assert (parts.hostname or "").endswith(".h.test")


# --- headers


def test_what_a_header_becomes() -> None:
    assert compile_header_template("Bearer {{name}}").fill(SCOPE) == "Bearer Ada"
    assert compile_header_template(" {{nobody}} é😀 ").fill(SCOPE) == "é😀"


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "\x00", "a\tb", "\x7f", "\x85", "\u2028"])
def test_a_value_cannot_end_a_header(value: str) -> None:
    with pytest.raises(FillError) as refused:
        compile_header_template("Bearer {{t}}").fill(MappingScope({"t": value}))
    assert refused.value.code == "fill.header_control"
    with pytest.raises(TemplateError):
        compile_header_template(f"a{value}b")


def test_a_header_is_bounded() -> None:
    with pytest.raises(FillError) as refused:
        compile_header_template("{{t}}").fill(MappingScope({"t": "x" * 9000}))
    assert refused.value.code == "fill.header_too_long"


@calm
@given(values)
def test_no_value_adds_a_header(value: Value) -> None:
    try:
        header = compile_header_template("x {{a}} y").fill(MappingScope({"a": value}))
    except FillError:
        return
    assert len(header.splitlines()) == 1
    assert header.isprintable() or header.encode()
    assert header.startswith("x ")


def test_names_of_headers() -> None:
    assert check_header_name("X-Api-Key") is None
    for name in ("", "X Api", "X:Y", "X\r\nY", "{{name}}", "Ü", "a" * 101):
        assert check_header_name(name)


# --- nothing undeclared


@pytest.mark.parametrize(
    ("compile_any", "error"),
    [
        (compile_template, ()),
        (compile_json_template, FillError),
        (compile_url_template, FillError),
        (compile_header_template, FillError),
    ],
)
@calm
@given(text=near_language, scope=scopes, url=st.booleans())
def test_no_text_raises_anything_undeclared(
    compile_any: Callable[[str], Any], error: type[Exception], text: str, scope: Scope, *, url: bool
) -> None:
    text = f"https://h.test/{text}" if url and compile_any is compile_url_template else text
    try:
        template = compile_any(text)
    except TemplateError as refused:
        assert_inside(refused, text)
        return
    try:
        filled = template.fill(scope)
    except error:
        return
    if compile_any is not compile_json_template:
        assert isinstance(filled, str)
