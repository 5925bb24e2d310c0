"""Search what flows say: in one, or in all of a bot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

from api.flow_paths import draft_of, version_of
from api.rest.access import Access
from api.rest.call import Call
from api.rest.routes import Routes
from api.schemas.search import BotSearchQuery, FlowHitsView, FlowSearchQuery, HitsView
from common.flow.search import Hit, search
from common.store.database import Document

routes = Routes("search", "/api/bots/<bot_id>", "Search what flows say: in one, or in all of a bot.")

MOST_HITS: Final = 200
# A bot's flows are looked through until so many nodes were seen: a second's work at most.
MOST_NODES_SEEN: Final = 20_000
# A flow of few nodes takes its time, too, and so does much text in one of them.
_LEAST_NODES: Final = 50
_BYTES_A_NODE: Final = 1000
_AT_ONCE: Final = 5  # in memory


@routes.get("/flows/<flow_id>/search", access=Access.READER, query=FlowSearchQuery, answer=HitsView)
def search_flow(call: Call) -> dict[str, Any]:
    """Search a flow: its draft, or a version.

    Labels, messages, buttons, prompts, addresses and expressions; case and ways of writing an accent do not count.
    """
    version_id = call.query["version_id"]
    found = version_of(call, version_id) if version_id else draft_of(call)
    hits = list(islice(search(found["flowData"], call.query["q"]), MOST_HITS + 1))
    return {"items": [_shown(hit) for hit in hits[:MOST_HITS]], "isComplete": len(hits) <= MOST_HITS}


@routes.get("/search", access=Access.READER, query=BotSearchQuery, answer=FlowHitsView)
def search_bot(call: Call) -> dict[str, Any]:
    """Search the drafts of all the bot's flows."""
    items: list[Document] = []
    seen = 0
    for draft in _drafts(call):
        if seen >= MOST_NODES_SEEN or len(items) > MOST_HITS:
            return {"items": items[:MOST_HITS], "isComplete": False}
        seen += max(draft["nodeCount"], draft.get("bytes", 0) // _BYTES_A_NODE, _LEAST_NODES)
        name = draft["flowData"].get("flowName", "")
        hits = islice(search(draft["flowData"], call.query["q"]), MOST_HITS + 1 - len(items))
        items += [{"flowId": draft["_id"], "flowName": name, **_shown(hit)} for hit in hits]
    return {"items": items[:MOST_HITS], "isComplete": len(items) <= MOST_HITS}


def _drafts(call: Call) -> Iterator[Document]:
    after = ""
    while drafts := call.store.flows.drafts_of(call.bot_id, after=after, limit=_AT_ONCE):
        yield from drafts
        after = drafts[-1]["_id"]


def _shown(hit: Hit) -> Document:
    found = asdict(hit)
    return {
        "nodeId": found["node_id"],
        "nodeType": found["node_type"],
        **{key: found[key] for key in ("label", "path", "snippet", "match")},
    }
