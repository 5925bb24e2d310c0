"""`python -m scripts.peers`: the local WhatsApp, OpenAI and CRM peers on one loopback port, until SIGTERM or Ctrl+C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from scripts.peers.graph_limits import WINDOW_MODES, Rules
from scripts.peers.numbers import SAMPLE_NUMBER_ID, SAMPLE_TOKEN, SAMPLE_WABA_ID, Number
from scripts.peers.openai import SAMPLE_KEY
from scripts.peers.server import Options, Peers
from scripts.peers.statuses import NAMES
from scripts.peers.webhooks import Target

DEFAULT_STATUSES = "sent:0.1,delivered:0.4,read:2"


def main() -> int:
    """Parse, run, end with 0."""
    arguments = _parser().parse_args()
    options = Options(
        port=arguments.port,
        target=Target(url=arguments.webhook_url),
        numbers=[Number(arguments.phone_number_id, arguments.waba_id, arguments.access_token)],
        openai_keys=frozenset(arguments.openai_key or [SAMPLE_KEY]),
        rules=Rules(
            window=arguments.window,
            pair_limit=arguments.pair_limit,
            number_per_second=arguments.number_per_second,
            known_users_only=arguments.known_users_only,
            late_refusals=arguments.late_refusals,
        ),
        status_delays=arguments.statuses,
        sent_path=arguments.record,
    )
    if arguments.app_secret is not None:
        options.target.app_secret = arguments.app_secret
    try:
        asyncio.run(_serve(options, arguments.port_file))
    except OSError as error:
        print(f"peers: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: Options, port_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    peers = Peers(options)
    url = await peers.start()
    if port_file is not None:
        _write_whole(port_file, url.rpartition(":")[2] + "\n")
    print(
        f"peers: listening on {url} (graph: {url}/graph, openai: {url}/openai/v1, crm: {url}/crm)", flush=True
    )
    await stop.wait()
    await peers.stop()
    print("peers: stopped", flush=True)


def _write_whole(path: Path, text: str) -> None:
    """A reader sees the file complete or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, encoding="ascii")
    draft.replace(path)


def _statuses(text: str) -> dict[str, float]:
    if text == "off":
        return {}
    delays = {}
    for part in text.split(","):
        name, _, seconds = part.partition(":")
        if name not in NAMES:
            raise argparse.ArgumentTypeError(f"{name!r} is no status; there are: {', '.join(NAMES)}")
        try:
            delays[name] = float(seconds)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not like sent:0.1") from None
    return delays


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.peers", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: a free one")
    add("--port-file", type=Path, help="where to write the port once it is open")
    add("--webhook-url", help="where inbound messages and statuses are posted to")
    add("--app-secret", help="signs the webhooks")
    add("--phone-number-id", default=SAMPLE_NUMBER_ID, help="the business number that exists (%(default)s)")
    add("--waba-id", default=SAMPLE_WABA_ID, help="its WhatsApp business account (%(default)s)")
    add("--access-token", default=SAMPLE_TOKEN, help="the token that may send with it (%(default)s)")
    add("--openai-key", action="append", help=f"a key that the OpenAI peer takes ({SAMPLE_KEY}); repeatable")
    add(
        "--statuses",
        type=_statuses,
        default=_statuses(DEFAULT_STATUSES),
        help=f"off, or like {DEFAULT_STATUSES}",
    )
    add("--record", type=Path, help="append every accepted send to this JSON Lines file")
    add(
        "--window",
        choices=WINDOW_MODES,
        default="known",
        help="whose 24-hour window is checked (%(default)s)",
    )
    add("--pair-limit", action=argparse.BooleanOptionalAction, default=True, help="the limit per recipient")
    add("--number-per-second", type=float, default=0.0, help="the limit per business number; 0: none")
    add("--known-users-only", action="store_true", help="131026 for everybody who has never written")
    add(
        "--late-refusals",
        action="store_true",
        help="window and unknown users as failed statuses, as Meta does",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
