"""All checks there are: every module in `common.flow.checks` is one, and putting a file there is all it takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from common.flow.validation.check import Check

PACKAGE = "common.flow.checks"  # named, not imported: what checks stand on does not depend on them
OTHER = "document"  # the check that takes a code which no check explains


@cache
def checks() -> Mapping[str, Check]:
    """The checks by name, in the order of the panel. Raises RuntimeError if two claim one name or one code."""
    package = importlib.import_module(PACKAGE)
    modules = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    found: dict[str, Check] = {}
    for check in sorted(
        (check for module in modules for check in _checks_in(f"{PACKAGE}.{module}")),
        key=lambda check: (check.rank, check.name),
    ):
        if found.setdefault(check.name, check) is not check:
            raise RuntimeError(f"two checks are called {check.name}")
    _owners(found)
    return MappingProxyType(found)


@cache
def owners() -> Mapping[str, str]:
    """The name of the check that each code belongs to."""
    return MappingProxyType(_owners(checks()))


def _owners(found: Mapping[str, Check]) -> dict[str, str]:
    owned: dict[str, str] = {}
    for check in found.values():
        for code in check.codes:
            owner = owned.setdefault(code.name, check.name)
            if owner != check.name:
                raise RuntimeError(f"two checks give the code {code.name}: {owner} and {check.name}")
    return owned


def _checks_in(module_name: str) -> list[Check]:
    module = importlib.import_module(module_name)
    return [
        cls()
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, Check) and cls.__module__ == module_name
    ]
