"""What the pretended model says: the same question always gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DEFAULT_ANSWERS = (
    ("opening hours", "We are open Monday to Friday, 9:00 to 18:00."),
    ("refund", "A refund takes 3 to 5 working days after the parcel is back with us."),
    ("order", "You can follow an order with its number under Order status in the menu."),
    ("human", "I will ask a colleague to get back to you."),
    ("thank", "You are welcome! Is there anything else I can do for you?"),
)
DEFAULT_OTHERWISE = 'You asked: "{message}". I am the local stand-in for the AI model and cannot know more.'


class ScriptError(Exception):
    """The script makes no sense; the message is a sentence."""


@dataclass(slots=True)
class Script:
    """Answers by a text contained in the last user message (first match wins); `queue` answers go first, once each."""

    answers: tuple[tuple[str, str], ...] = DEFAULT_ANSWERS
    otherwise: str = DEFAULT_OTHERWISE
    queue: tuple[str, ...] = ()

    def reply(self, message: str) -> str:
        """The answer to the user's message."""
        if self.queue:
            first, *rest = self.queue
            self.queue = tuple(rest)
            return first
        folded = message.casefold()
        found = next((answer for part, answer in self.answers if part.casefold() in folded), self.otherwise)
        return found.replace("{message}", message)

    def change(self, wish: dict[str, Any]) -> None:
        """Take `{"answers": [{"when", "answer"}], "otherwise": "…{message}…", "queue": ["…"]}`; raises ScriptError."""
        if wish.keys() - {"answers", "otherwise", "queue"}:
            raise ScriptError("A script has 'answers', 'otherwise' and 'queue'.")
        answers, otherwise, queue = wish.get("answers", []), wish.get("otherwise"), wish.get("queue", [])
        if not isinstance(answers, list) or not all(_is_answer(item) for item in answers):
            raise ScriptError('\'answers\' must be a list of {"when": text, "answer": text}.')
        if otherwise is not None and not isinstance(otherwise, str):
            raise ScriptError("'otherwise' must be a text.")
        if not isinstance(queue, list) or not all(isinstance(item, str) for item in queue):
            raise ScriptError("'queue' must be a list of texts.")
        if "answers" in wish:
            self.answers = tuple((item["when"], item["answer"]) for item in answers)
        self.otherwise = otherwise if otherwise is not None else self.otherwise
        self.queue = tuple(queue)

    def as_dict(self) -> dict[str, Any]:
        """The script as JSON."""
        answers = [{"when": part, "answer": answer} for part, answer in self.answers]
        return {"answers": answers, "otherwise": self.otherwise, "queue": list(self.queue)}


def _is_answer(item: object) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() == {"when", "answer"}
        and isinstance(item["when"], str)
        and isinstance(item["answer"], str)
    )
