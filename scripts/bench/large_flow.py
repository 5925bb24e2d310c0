"""A large flow as people build them, for measuring how long reading and checking one takes."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class Drawing:
    """A flow under construction."""

    def __init__(self) -> None:
        self.nodes: list[Json] = []
        self.edges: list[Json] = []
        self.node("start", "START")

    def node(self, node_id: str, kind: str, **config: Any) -> str:
        place = {"x": 0, "y": 0}
        self.nodes.append({"nodeId": node_id, "nodeType": kind, "position": place, "config": config})
        return node_id

    def edge(self, source: str, handle: str, target: str, entrance: str = "input") -> None:
        self.edges.append(
            {
                "edgeId": f"{source}-{handle}",
                "sourceNodeId": source,
                "sourceHandle": handle,
                "targetNodeId": target,
                "targetHandle": entrance,
            }
        )

    def flow(self) -> Json:
        return {"nodes": self.nodes, "edges": self.edges, "variables": {"bot": [], "session": []}}


def realistic(nodes: int, salt: str = "") -> Json:
    """Blocks of eight nodes: a question, branches, buttons, a variable made of others, a loop, a call. `salt` makes
    its texts unlike those of any other flow.
    """
    drawing = Drawing()
    blocks = (nodes - 2) // 8
    for number in range(blocks):
        _block(drawing, number, f"b{number + 1}_ask" if number + 1 < blocks else "end", f"{salt}{number}")
    drawing.edge("start", "output", "b0_ask")
    drawing.node("end", "END", finalMessage="Bye")
    return drawing.flow()


def _block(drawing: Drawing, number: int, following: str, mark: str) -> None:
    def node(name: str, kind: str, **config: Any) -> None:
        drawing.node(f"b{number}_{name}", kind, **config)

    n, chosen, text = f"n{number}", f"c{number}", f"s{number}"
    node(
        "ask",
        "INPUT",
        promptMessage=f"{mark}: dear {{{{userName || 'friend'}}}}, how many do you need?",
        inputType="NUMBER",
        variableName=n,
        retryConfig={"retryMessage": f"A number please, {{{{userName}}}} ({mark})."},
    )
    branches = [
        {
            "branchId": "many",
            "label": "Many",
            "expression": f"{{{{{n}}}}} > {number + 10} AND {{{{{n}}}}} < 900",
        },
        {
            "branchId": "some",
            "label": "Some",
            "expression": f"{{{{{n}}}}} > 5 OR {{{{lastMessage}}}} == '{mark}'",
        },
    ]
    node("choose", "CONDITION", branches=branches)
    node("say", "MESSAGE", messageContent=f"You said {{{{{n}}}}}, thank you {{{{userName}}}} for {mark}")
    buttons = [{"buttonId": word, "label": word, "storeIn": chosen} for word in ("yes", "no")]
    node(
        "menu",
        "BUTTON",
        messageText=f"{mark} for {{{{{n}}}}}",
        buttons=buttons,
        fallback={"message": "Tap please"},
    )
    node("keep", "SET_VARIABLE", variableName=text, value=f"{{{{{chosen}}}}} and {{{{{n}}}}} {mark}")
    node("loop", "LOOP", iterationCount=3, iterationVariable=f"i{number}")
    node("round", "MESSAGE", messageContent=f"Round {{{{i{number}}}}} of 3 in {mark}")
    node(
        "call",
        "API",
        method="POST",
        url=f"https://example.com/{{{{{n}}}}}/{mark}",
        body=f'{{"n": {{{{{n}}}}}, "s": "{{{{{text} || \'none\'}}}} {mark}"}}',
        responseMapping=[{"jsonPath": "data.id", "variableName": f"r{number}"}],
    )
    for source, handle, target in (
        ("ask", "success", "choose"),
        ("ask", "failure", "call"),
        ("choose", "many", "say"),
        ("choose", "some", "menu"),
        ("choose", "default", "loop"),
        ("say", "output", "loop"),
        ("menu", "yes", "keep"),
        ("menu", "no", "keep"),
        ("menu", "fallback", "menu"),
        ("keep", "output", "loop"),
        ("loop", "body", "round"),
        ("loop", "exit", "call"),
        ("round", "output", "loop"),
    ):
        drawing.edge(f"b{number}_{source}", handle, f"b{number}_{target}")
    for handle in ("success", "failure"):
        drawing.edge(f"b{number}_call", handle, following)
