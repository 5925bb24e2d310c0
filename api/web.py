"""What a request handler works with: settings, store and the things built on them."""

from __future__ import annotations

from dataclasses import dataclass

from api.downloads import Downloads
from api.intake import Intake
from api.live.hub import Hub
from api.numbers import Numbers
from api.outage import Outage
from api.patience import Patience
from api.rest.limits import Limits
from common.secrets import KeyRing
from common.settings import Settings
from common.store.store import Store


@dataclass(frozen=True, slots=True)
class Web:
    """One a process, shared by its threads."""

    settings: Settings
    store: Store
    numbers: Numbers
    intake: Intake
    outage: Outage
    limits: Limits
    keys: KeyRing
    live: Hub
    downloads: Downloads
    patience: Patience
