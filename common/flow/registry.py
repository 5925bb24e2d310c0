"""All node types there are: every module in `common.nodes` is one, and putting a file there is all it takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from common.flow.node import NodeType

PACKAGE = "common.nodes"  # named, not imported: the engine does not depend on the node types


@cache
def node_types() -> Mapping[str, NodeType[Any]]:
    """The node types by kind, in the order of their files. Raises RuntimeError if two claim one kind."""
    found: dict[str, NodeType[Any]] = {}
    package = importlib.import_module(PACKAGE)
    for module in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        for node_type in _types_in(f"{PACKAGE}.{module}"):
            if found.setdefault(node_type.kind, node_type) is not node_type:
                raise RuntimeError(f"two node types are called {node_type.kind}")
    return MappingProxyType(found)


def _types_in(module_name: str) -> list[NodeType[Any]]:
    module = importlib.import_module(module_name)
    return [
        cls()
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, NodeType) and cls.__module__ == module_name
    ]
