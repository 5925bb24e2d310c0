"""What hypothesis makes up for the flow language: texts that nearly are one, values of every kind, scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st

from common.flow.variables import MappingScope

if TYPE_CHECKING:
    from common.flow.language import LanguageError
    from common.model.values import Value

calm = settings(deadline=None)  # the machine may be busy; time is measured where it matters

_FRAGMENTS = [
    *"{}[]().,:;|\\\"'$/?#&=<>! \n\t0-ab@%*+",
    *("{{", "}}", "||", "==", "!=", ">=", "&&", "{{a}}", "{{b.c[0]}}", '{{a || "x"}}', "'x'", '"x"'),
    *("AND", "or", "Not", "contains", "starts with", "ends  with", "true", "null", "a", "b", "12", "-1.5e3"),
    *("http://", "https://h.test/", "..", "\r\n", "\x00", "\ud800", "é", "😀", "“", "٢٠", "9" * 70),
]

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
near_language = st.lists(st.sampled_from(_FRAGMENTS) | any_text, max_size=25).map("".join)

_NASTY = [
    *(
        "",
        " ",
        ".",
        "..",
        "../../x",
        "a/b",
        "\\..\\",
        "%2e%2e",
        "?a=1&b=2#c",
        "@evil.test",
        "\r\nX: 1",
        "\x85",
    ),
    *('","admin":true,"', "{{a}}", "true", "12", "٢٠", "\x00", "\ud800", "x\u2028y", "=1+1"),
]
nasty_text = any_text | st.sampled_from(_NASTY)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | nasty_text
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(nasty_text, inner, max_size=3),
    max_leaves=6,
)
scopes = st.dictionaries(st.sampled_from(["a", "b", "c"]), values).map(MappingScope)


def assert_inside(refused: LanguageError, source: str) -> None:
    """Where a text goes wrong lies inside it."""
    assert 0 <= refused.position <= len(source)
    assert refused.message
