"""Figures put into the database as turns put them there."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from common.clock import utc_now
from common.model.counters import CountKey

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from common.store.store import Store
    from tests.api.person import Person


def download(person: Person, path: str, **query: str) -> TestResponse:
    """A file, as a browser gets it."""
    headers = {"Authorization": f"Bearer {person.token}"}
    response = person.app.test_client().get(path, query_string=query, headers=headers)
    assert response.status_code == 200
    return response


def count(
    store: Store, ids: dict[str, str], at: datetime | None = None, paths: dict[str, int] | None = None, /,
    *, folded: bool = False, **amounts: int,
) -> None:  # fmt: skip
    """Add amounts for somebody's flow, by `paths` and by name, where a path's dots are written __: `n__starts=3`."""
    key = CountKey(ids["bot_id"], ids["flow_id"], ids["version_id"])
    named = {name.replace("__", "."): amount for name, amount in amounts.items()} | (paths or {})
    with store.database.client.start_session() as session:
        session.with_transaction(lambda tx: store.counters.write([(key, named)], at or utc_now(), tx))
    store.counters.settle()
    if folded:
        while store.counter_folds.fold(utc_now()):
            pass
