"""Every resource of the REST API: a module in `api.routes` with `routes` is one, and putting it there is all it takes."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from api.rest.routes import Operation, Routes

PACKAGE = "api.routes"


@cache
def resources() -> tuple[Routes, ...]:
    """The resources, in the order of their files."""
    package = importlib.import_module(PACKAGE)
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{PACKAGE}.{name}") for name in names]
    return tuple(
        routes for module in modules if isinstance(routes := getattr(module, "routes", None), Routes)
    )


def operations() -> tuple[Operation, ...]:
    """Every route and method of the API."""
    return tuple(operation for routes in resources() for operation in routes.operations)
