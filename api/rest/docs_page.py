"""The documentation as a page: Swagger UI from its package, nothing from anywhere else."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import flask_swagger_ui
from flask import Flask, Response, redirect, send_from_directory
from werkzeug.exceptions import NotFound

from api.rest.openapi import openapi_document
from api.rest.routes import json_response

_FILES = Path(flask_swagger_ui.__file__).parent / "dist"
_SERVED = frozenset({"swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
_CSP = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>WhatsApp Flow Builder: API</title>
<link rel="stylesheet" href="swagger-ui.css">
<link rel="icon" href="favicon-32x32.png">
</head>
<body>
<div id="docs"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</body>
</html>
"""
_START = """\
window.ui = SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    const csrf = document.cookie.match(/(?:^|; )csrf_token=([^;]*)/);
    if (csrf) request.headers["X-CSRF-Token"] = csrf[1];
    return request;
  },
});
"""


def register_docs(app: Flask) -> None:
    """`/api/docs/` and `/api/openapi.json`."""
    app.add_url_rule("/api/openapi.json", "openapi_document", lambda: json_response(openapi_document()))
    app.add_url_rule("/api/docs", "docs_start", lambda: redirect("docs/", HTTPStatus.MOVED_PERMANENTLY))
    app.add_url_rule("/api/docs/", "docs_page", lambda: _answer(_PAGE, "text/html"))
    app.add_url_rule("/api/docs/start.js", "docs_script", lambda: _answer(_START, "text/javascript"))
    app.add_url_rule("/api/docs/<name>", "docs_file", _file)


def _answer(text: str, kind: str) -> Response:
    return Response(text, mimetype=kind, headers={"Content-Security-Policy": _CSP})


def _file(name: str) -> Response:
    if name not in _SERVED:
        raise NotFound
    response = send_from_directory(_FILES, name, max_age=86_400)
    response.headers["Cache-Control"] = "public, max-age=86400"
    return response
