"""`flask play`: lines in, a readable conversation out, and a test case that passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from api.play import play
from tests.conversations import player
from tests.conversations.scripts import read_case, read_yaml

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def played(flow: str, lines: list[str], *options: str) -> Result:
    path = EXAMPLES / f"{flow}.json"
    return CliRunner().invoke(play, [str(path), *options], input="".join(f"{line}\n" for line in lines))


def test_a_conversation_is_shown() -> None:
    result = played(
        "welcome-menu", ["hi", "2", "/vars", "/path", "/help", "no, thanks"], "--var", "companyName=ACME"
    )
    assert result.exit_code == 0, result.output
    assert "Welcome to ACME!" in result.output
    assert "[1] Opening hours   [2] Prices   [3] Talk to a person" in result.output
    assert 'session.topic = "btn_prices"' in result.output
    assert "start_001 → msg_welcome → btn_menu → cond_plan → msg_prices → btn_more" in result.output
    assert "/wait" in result.output


def test_what_was_played_is_a_case_that_passes(tmp_path: Path) -> None:
    saved = tmp_path / "case.yaml"
    lines = [
        "hi", "Ada", "/send image", "ada@x", "yes@example.com", "/send reaction", "12", '201 {"id": "lead-1"}',
        "hi", "true", "/wait 12h",
    ]  # fmt: skip
    result = played("lead-capture", lines, "--save", str(saved), "--var", "crmUrl=https://crm.test")
    assert result.exit_code == 0, result.output
    (data,) = read_yaml(saved)
    case = read_case(data)
    assert case.ends["path"][-2:] == ["input_email", "end_silent"]
    again = player.play(case)
    assert [message.text for message in again.shown if "lead-1" in message.text]


def test_a_case_with_taps_time_and_an_ai(tmp_path: Path) -> None:
    saved = tmp_path / "case.yaml"
    lines = [
        "hello", "How?", "Like this.", "/wait 5s", "/tap Yes 👍", "hello", "Why?", "fail openai.no_key", "/tap Yes 👍",
    ]  # fmt: skip
    result = played("ai-support", lines, "--save", str(saved))
    assert result.exit_code == 0, result.output
    assert "COMPLETED" not in result.output
    assert "openai.no_key" in result.output
    player.play(read_case(read_yaml(saved)[0]))


def test_answers_may_be_given_beforehand() -> None:
    lines = ["hi", "Ada", "ada@example.com", "3"]
    result = played("lead-capture", lines, "--answer", '{"id": 9}')
    assert "Your number is 9" in result.output
    failed = played("lead-capture", lines, "--answer", "503")
    assert "http.status" in failed.output
    assert "will call you" in failed.output


def test_a_wrong_answer_is_asked_again() -> None:
    result = played("lead-capture", ["hi", "Ada", "ada@example.com", "3", "ok", "200 {", "204"])
    assert result.output.count("An HTTP answer is a status and JSON") == 2
    assert "leadId = null" in result.output


def test_odd_lines() -> None:
    result = played(
        "welcome-menu", ["", "/wait", "/wait long", "/tap X", "/path", "hi", "/reset", "/path", "/quit", "hi"]
    )
    assert result.exit_code == 0, result.output
    assert result.output.count("Write how long") == 2
    assert "There is no such button." in result.output
    assert result.output.count("nowhere yet") == 2
    assert result.output.count("Welcome") == 2  # the title and the one message


def test_what_is_wrong_with_a_flow_is_shown(tmp_path: Path) -> None:
    flow = tmp_path / "flow.json"
    flow.write_text(json.dumps({"nodes": [{"nodeId": "start", "nodeType": "START"}]}), encoding="utf-8")
    result = CliRunner().invoke(play, [str(flow)], input="hi\n")
    assert 'start: The exit "Next" leads nowhere.' in result.output
    assert "flow.open_exit" in result.output
    assert "FAILED: the next message begins a new conversation." in result.output


def test_files_that_are_no_flow(tmp_path: Path) -> None:
    for content, sentence in (
        ("{", "is not JSON"),
        ("[]", "This flow cannot run"),
        ('{"nodes": []}', "no nodes"),
    ):
        flow = tmp_path / "flow.json"
        flow.write_text(content, encoding="utf-8")
        result: Any = CliRunner().invoke(play, [str(flow)])
        assert result.exit_code == 1
        assert sentence in result.output


def test_a_variable_without_a_value_is_refused() -> None:
    result = played("welcome-menu", [], "--var", "companyName")
    assert result.exit_code == 2
    assert "is not NAME=VALUE" in result.output
