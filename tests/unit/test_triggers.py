"""Which flow a text starts: the same one whatever the order of flows, and every accepted trigger starts its own."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.bots import BotConfig, LiveFlow
from common.model.flow_settings import Match, Trigger
from common.model.triggers import Claimed, called, collision, flow_for, has_interrupting, repeated

EXACT, STARTS, CONTAINS = Match.EXACT, Match.STARTS_WITH, Match.CONTAINS


def bot(*flows: tuple[str, tuple[Trigger, ...]], default: str | None = "default") -> BotConfig:
    live = (*((flow_id, triggers) for flow_id, triggers in flows), ("default", ()))
    return BotConfig(
        "bot",
        "user",
        1,
        default,
        flows=tuple(LiveFlow(flow_id, f"v-{flow_id}", triggers, name=flow_id) for flow_id, triggers in live),
    )


def started(config: BotConfig, text: str) -> str | None:
    flow = flow_for(config, text)
    return flow.flow_id if flow else None


@pytest.mark.parametrize(
    ("trigger", "text", "fits"),
    [
        (Trigger("Help"), "help", True),
        (Trigger("help"), "  HELP \n", True),
        (Trigger("help"), "help me", False),
        (Trigger("order status"), "Order   Status", True),
        (Trigger("café"), "CAFE\u0301", True),
        (Trigger("straße"), "STRASSE", True),
        (Trigger("quote", STARTS), "Quote please", True),
        (Trigger("quote", STARTS), "a quote", False),
        (Trigger("quote", CONTAINS), "may I have a QUOTE?", True),
        (Trigger("quote", CONTAINS), "quo te", False),
        (Trigger(" ", CONTAINS), "anything", False),
        (Trigger("", STARTS), "anything", False),
        (Trigger(""), "", False),
    ],
)
def test_a_text_fits_as_people_mean_it(trigger: Trigger, text: str, *, fits: bool) -> None:
    assert (started(bot(("a", (trigger,))), text) == "a") is fits


def test_the_more_exact_and_then_the_longer_one_wins() -> None:
    flows = [
        ("contains", (Trigger("order", CONTAINS),)),
        ("contains-longer", (Trigger("order now", CONTAINS),)),
        ("starts", (Trigger("order", STARTS),)),
        ("starts-longer", (Trigger("order st", STARTS),)),
        ("exact", (Trigger("order status"),)),
    ]
    texts = {
        "order status": "exact",
        "order status 7": "starts-longer",
        "order now": "starts",
        "please order now": "contains-longer",
        "my order": "contains",
        "hello": "default",
    }
    for _ in range(10):
        random.shuffle(flows)
        assert {text: started(bot(*flows), text) for text in texts} == texts


def test_without_a_default_flow_who_fits_nothing_gets_nothing() -> None:
    config = bot(("a", (Trigger("a"),)), default=None)
    assert started(config, "a") == "a"
    assert started(config, "b") is None
    assert started(bot(default="gone"), "b") is None


def test_what_interrupts_is_the_trigger_that_the_text_belongs_to() -> None:
    config = bot(("a", (Trigger("menu"),)), ("b", (Trigger("menu", CONTAINS, interrupts=True),)))
    assert has_interrupting(config)
    assert not has_interrupting(bot(("a", (Trigger("menu"),))))
    exact, inside = called(config, "menu"), called(config, "the menu")
    assert exact is not None
    assert inside is not None
    assert (exact.flow.flow_id, exact.trigger.interrupts) == ("a", False)
    assert (inside.flow.flow_id, inside.trigger.interrupts) == ("b", True)


@pytest.mark.parametrize(
    ("mine", "theirs", "collides"),
    [
        (Trigger("Help"), Trigger(" help "), True),
        (Trigger("help"), Trigger("hello"), False),
        (Trigger("help", STARTS), Trigger("HELP", STARTS), True),
        (Trigger("help", CONTAINS), Trigger("help", CONTAINS, interrupts=True), True),
        (Trigger("help", STARTS), Trigger("help", CONTAINS), True),
        (Trigger("help"), Trigger("help", CONTAINS), False),
        (Trigger("help", STARTS), Trigger("help"), False),
        (Trigger("help me", STARTS), Trigger("help", STARTS), False),
    ],
)
def test_collisions(mine: Trigger, theirs: Trigger, *, collides: bool) -> None:
    other = Claimed("other", "Other", (Trigger("zzz"), theirs))
    found = collision((Trigger("aaa"), mine), [other])
    assert (found is not None) is collides
    if found is not None:
        assert (found.trigger, found.other.name, found.other_trigger) == (mine, "Other", theirs)


def test_what_a_flow_says_twice_is_noticed() -> None:
    triggers = [Trigger("a"), Trigger("A "), Trigger("a", STARTS), Trigger("\u2003"), Trigger("a", STARTS)]
    assert repeated(triggers) == [1, 3, 4]


TEXTS = st.text(alphabet="abAB é", min_size=1, max_size=4).filter(lambda text: bool(text.strip()))
TRIGGERS = st.builds(Trigger, TEXTS, st.sampled_from(Match))
BOTS = st.lists(st.lists(TRIGGERS, max_size=3), min_size=1, max_size=4)


def accepted(flows: list[list[Trigger]]) -> list[tuple[str, tuple[Trigger, ...]]]:
    """The triggers as the bot would have them: flow by flow, without what is refused."""
    kept: list[Claimed] = []
    for number, triggers in enumerate(flows):
        mine: list[Trigger] = []
        for trigger in triggers:
            if not repeated([*mine, trigger]) and collision([trigger], kept) is None:
                mine.append(trigger)
        kept.append(Claimed(f"flow-{number}", f"Flow {number}", tuple(mine)))
    return [(claimed.flow_id, claimed.triggers) for claimed in kept]


@given(BOTS)
def test_every_accepted_trigger_starts_its_own_flow_with_some_text(flows: list[list[Trigger]]) -> None:
    kept = accepted(flows)
    config = bot(*kept)
    for flow_id, triggers in kept:
        for trigger in triggers:
            # "#" and "|" are in nobody's trigger: what is longer or more exact than this one does not fit.
            text = {EXACT: trigger.text, STARTS: f"{trigger.text}#|", CONTAINS: f"#{trigger.text}|"}
            found = called(config, text[trigger.match])
            assert found is not None
            assert (found.flow.flow_id, found.trigger) == (flow_id, trigger)


@given(BOTS, st.text(alphabet="abAB é#", max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_flows_and_triggers_does_not_matter(
    flows: list[list[Trigger]], text: str, shuffle: random.Random
) -> None:
    kept = accepted(flows)
    mixed = [(flow_id, tuple(shuffle.sample(triggers, len(triggers)))) for flow_id, triggers in kept]
    shuffle.shuffle(mixed)
    assert started(bot(*mixed), text) == started(bot(*kept), text)
