"""Everything that can be filled with variables, each by the rules of the place where the value goes."""

from __future__ import annotations

from common.flow.header_template import HeaderTemplate, check_header_name, compile_header_template
from common.flow.json_template import JsonTemplate, compile_json_template
from common.flow.text_template import FillError, Template, TemplateError, compile_template
from common.flow.url_template import UrlTemplate, compile_url_template

__all__ = [
    "FillError",
    "HeaderTemplate",
    "JsonTemplate",
    "Template",
    "TemplateError",
    "UrlTemplate",
    "check_header_name",
    "compile_header_template",
    "compile_json_template",
    "compile_template",
    "compile_url_template",
]
