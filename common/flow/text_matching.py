"""How flows compare what people typed: as everybody else here does."""

from __future__ import annotations

from common.model.text_matching import folded

__all__ = ["folded"]
