"""Large flows that are as bad for a checker as can be; one as people build them stands with the benchmark."""

from __future__ import annotations

import random

from scripts.bench.large_flow import Drawing, Json


def dense() -> Json:
    """As many nodes and connections as a flow may have, at random: every path exists."""
    chance = random.Random(7)  # noqa: S311 - no secret
    drawing = Drawing()
    names = [f"n{number}" for number in range(990)]
    for number, name in enumerate(names):
        if number % 3:
            drawing.node(
                name, "SET_VARIABLE", variableName=f"v{number % 97}", value=f"{{{{v{number % 89}}}}}!"
            )
            drawing.edge(name, "output", chance.choice(names))
            continue
        branches = [
            {"branchId": f"b{one}", "expression": f"{{{{v{chance.randrange(97)}}}}} == {one}"}
            for one in range(11)
        ]
        drawing.node(name, "CONDITION", branches=branches)
        for handle in [*(f"b{one}" for one in range(11)), "default"]:
            drawing.edge(name, handle, chance.choice(names))
    drawing.edge("start", "output", "n0")
    drawing.node("end", "END")
    return drawing.flow()


def deep() -> Json:
    """One long chain in which each variable is made of the one before, and nothing is ever set to begin with."""
    drawing = Drawing()
    for number in range(995):
        value = f"{{{{v{number - 1}}}}}x{{{{missing{number}}}}}" if number else "{{missing0}}"
        drawing.node(f"n{number}", "SET_VARIABLE", variableName=f"v{number}", value=value)
        drawing.edge(f"n{number}", "output", f"n{number + 1}" if number < 994 else "end")
    drawing.edge("start", "output", "n0")
    drawing.node("end", "END")
    return drawing.flow()


def nested() -> Json:
    """Loops inside each other, as many as fit, around a delay and a message."""
    drawing = Drawing()
    depth = 490
    for number in range(depth):
        drawing.node(f"l{number}", "LOOP", iterationCount=2)
        drawing.edge(f"l{number}", "body", f"l{number + 1}" if number < depth - 1 else "rest")
        if number:
            drawing.edge(f"l{number}", "exit", f"l{number - 1}", "continue")
    drawing.node("rest", "DELAY", delayDuration=1)
    drawing.node("say", "MESSAGE", messageContent="Hi")
    drawing.edge("rest", "output", "say")
    drawing.edge("say", "output", f"l{depth - 1}", "continue")
    drawing.edge("start", "output", "l0")
    drawing.edge("l0", "exit", "end")
    drawing.node("end", "END")
    return drawing.flow()


def diamonds() -> Json:
    """Forks that meet again, one after another: two to the power of hundreds of paths, each setting other variables."""
    drawing = Drawing()
    for number in range(245):
        name, after = f"d{number}", f"d{number + 1}" if number < 244 else "end"
        drawing.node(name, "CONDITION", branches=[{"branchId": "a", "expression": "{{lastMessage}} == 'a'"}])
        drawing.node(f"{name}a", "SET_VARIABLE", variableName=f"v{number}", value="a")
        drawing.node(f"{name}b", "DELAY", delayDuration=1, delayUnit="MINUTES")
        content = "Hi" + "".join(f"{{{{v{one}}}}}" for one in range(number % 7))
        drawing.node(f"{name}c", "MESSAGE", messageContent=content)
        drawing.edge(name, "a", f"{name}a")
        drawing.edge(name, "default", f"{name}b")
        drawing.edge(f"{name}a", "output", f"{name}c")
        drawing.edge(f"{name}b", "output", f"{name}c")
        drawing.edge(f"{name}c", "output", after)
    drawing.edge("start", "output", "d0")
    drawing.node("end", "END")
    return drawing.flow()
