"""All settings of all processes: read from environment variables once, typed, checked together.

A setting's environment variable is its name in upper case. In development, what the environment does not give
is read from the local state file, in which `scripts/up` keeps generated secrets and the running database's URI.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_type_hints
from urllib.parse import urlsplit

from common.development_state import read_development_state
from common.errors import ConfigurationError
from common.secrets import KeyRing, KeySettingError, weakness

KIB: Final = 1024
MIB: Final = 1024 * KIB
# Places of each web process, each with a thread of its own: files that are sent piece by piece, and long answers.
WEB_DOWNLOADS: Final = 4
WEB_LONG_ANSWERS: Final = 8
MIN_SECRET_BYTES: Final = {"jwt_secret": 32, "meta_app_secret": 16, "webhook_verify_token": 16}
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


def _setting(
    default: Any,
    text: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    is_required: bool = False,
    is_secret: bool = False,
) -> Any:
    rules = {"help": text, "least": least, "most": most, "choices": choices}
    return field(
        default=default,
        repr=not is_secret,
        metadata={**rules, "is_required": is_required, "is_secret": is_secret},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting with its default. `load_settings` makes a checked one."""

    app_env: Literal["development", "test", "production"] = _setting(
        "development",
        "What this installation is for. Production refuses missing and weak secrets.",
        choices=("development", "test", "production"),
    )
    local_state_dir: str = _setting(".local", "Folder of the development database, secrets and logs.")

    mongodb_uri: str = _setting(
        "",
        "MongoDB's address. It must be a replica set; one member is enough. In development `scripts/up` "
        "starts one where this is not set.",
        is_required=True,
        is_secret=True,
    )
    mongodb_database: str = _setting("whatsapp_flow_builder", "Database, where the URI names none.")

    port: int = _setting(5000, "Port of the web process.", least=1, most=65535)
    web_processes: int = _setting(2, "Web processes.", least=1, most=64)
    web_threads: int = _setting(16, "Threads of each web process for requests.", least=1, most=256)
    web_streams: int = _setting(
        16,
        "Live views (open streams of events) that each web process serves at most, each on a thread of its own.",
        least=1,
        most=256,
    )
    streams_per_user: int = _setting(
        6, "Live views that one user may have open in each web process.", least=1, most=256
    )
    trusted_proxies: int = _setting(
        0, "Proxies in front whose X-Forwarded-For is believed; 0: none.", least=0, most=10
    )
    max_body_bytes: int = _setting(
        4 * MIB, "Largest request body; a webhook of Meta has at most 3 MB.", least=KIB, most=64 * MIB
    )

    max_api_body_bytes: int = _setting(
        MIB,
        "Largest body of an API request; files that are imported have a limit of their own.",
        least=KIB,
        most=16 * MIB,
    )
    public_url: str = _setting(
        "",
        "Address under which this installation is reached from outside, for example https://bots.example.com.",
    )
    allow_registration: bool = _setting(default=True, text="Whether anybody may register an account.")
    api_requests_per_minute: int = _setting(
        600, "API requests that one user may make in a minute.", least=1, most=1_000_000
    )
    logins_per_minute: int = _setting(
        10, "Attempts to sign in, for each address and for each account.", least=1, most=1_000_000
    )
    registrations_per_hour: int = _setting(
        20, "Accounts that may be registered from one address.", least=1, most=1_000_000
    )

    jwt_secret: str = _setting(
        "", "Signs logins. At least 32 random bytes.", is_required=True, is_secret=True
    )
    encryption_keys: str = _setting(
        "",
        "Keys that encrypt stored secrets, as `name:base64-of-32-bytes[,name2:…]`. The first one encrypts, all "
        "decrypt. Keep them apart from the database's backups.",
        is_required=True,
        is_secret=True,
    )
    meta_app_secret: str = _setting(
        "", "App secret of the Meta app; signs every webhook.", is_required=True, is_secret=True
    )
    webhook_verify_token: str = _setting(
        "",
        "A random text of yours; the same one stands in Meta's webhook configuration.",
        is_required=True,
        is_secret=True,
    )

    graph_base_url: str = _setting("https://graph.facebook.com", "WhatsApp Graph API.")
    graph_version: str = _setting("v24.0", "Version of the Graph API.")
    graph_timeout_seconds: float = _setting(20.0, "Longest wait for the Graph API.", least=0.1, most=120)

    openai_base_url: str = _setting("https://api.openai.com/v1", "OpenAI, or a server that speaks its API.")
    openai_timeout_seconds: float = _setting(60.0, "Longest wait for a completion.", least=0.1, most=600)
    openai_models: tuple[str, ...] = _setting(
        ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"),
        "Models offered in the settings panel, separated by commas; any other can be typed.",
    )

    worker_processes: int = _setting(1, "Worker processes.", least=1, most=64)
    worker_threads: int = _setting(2, "Threads that run turns, in each process.", least=1, most=64)
    worker_batch_lanes: int = _setting(32, "Conversations claimed at once.", least=1, most=500)
    worker_send_threads: int = _setting(64, "Threads that send, in each process.", least=1, most=256)
    worker_effect_threads: int = _setting(
        16, "Threads for HTTP and AI calls, in each process.", least=1, most=256
    )
    worker_held_lanes: int = _setting(
        512, "Most conversations that one process holds at a time.", least=1, most=10_000
    )
    lease_seconds: float = _setting(
        30.0, "How long a worker owns a conversation without renewing it.", least=1, most=600
    )
    poll_max_seconds: float = _setting(
        1.0, "Longest pause between two looks for work when idle.", least=0.01, most=5
    )
    stop_seconds: float = _setting(
        25.0, "Time to finish after SIGTERM before conversations are handed back.", least=0, most=600
    )
    job_max_attempts: int = _setting(
        5, "Attempts before a job is put aside as a dead letter.", least=1, most=100
    )
    retry_base_seconds: float = _setting(
        1.0, "Pause before the first repetition; doubles each time.", least=0.01, most=600
    )
    retry_max_seconds: float = _setting(60.0, "Longest pause between repetitions.", least=0.01, most=86_400)

    send_grace_seconds: float = _setting(
        90.0,
        "How long to wait for a status when it is unknown whether a message was sent.",
        least=0,
        most=86_400,
    )
    send_unknown_policy: Literal["AUTO", "HOLD", "RESEND"] = _setting(
        "AUTO",
        "What happens then. AUTO: resend only where silence is evidence; HOLD: never; RESEND: always.",
        choices=("AUTO", "HOLD", "RESEND"),
    )
    mark_as_read: bool = _setting(
        default=False, text="Mark received messages as read (blue ticks); one more call for each message."
    )
    typing_indicator: bool = _setting(default=False, text='Show "typing…" while an answer is prepared.')
    inbound_per_minute: int = _setting(
        60, "Messages of one conversation that are worked on in a minute.", least=1, most=100_000
    )
    number_per_second: float = _setting(
        80.0, "Messages that one of our numbers sends in a second.", least=0.1, most=10_000
    )
    pair_burst: int = _setting(
        45, "Messages that may go to one customer at once before they are spread.", least=1, most=10_000
    )
    pair_seconds: float = _setting(
        6.0, "Seconds for one message to one customer after the burst.", least=0, most=3600
    )

    timer_interval_seconds: float = _setting(0.5, "Longest sleep of the timer process.", least=0.01, most=10)
    timer_batch: int = _setting(500, "Timers turned into jobs at once.", least=1, most=10_000)
    done_job_days: int = _setting(
        8, "Days for which done jobs are kept; Meta repeats webhooks for up to 7.", least=8, most=365
    )
    execution_log_days: int = _setting(14, "Days for which the execution log is kept.", least=1, most=3650)
    message_days: int = _setting(90, "Days for which messages are kept.", least=1, most=3650)

    http_allowed_hosts: tuple[str, ...] = _setting(
        (), "Private hosts (host or host:port, separated by commas) that the API node may reach all the same."
    )
    http_max_bytes: int = _setting(MIB, "Largest answer that the API node reads.", least=KIB, most=15 * MIB)

    metrics_token: str = _setting(
        "",
        "Whoever asks the web process for /metrics shows it as a bearer token. Without one, there are no metrics in "
        "production, and only local ones elsewhere.",
        is_secret=True,
    )
    metrics_host: str = _setting(
        "127.0.0.1", "Address at which workers and timers answer /metrics, to anybody who can reach it."
    )
    worker_metrics_port: int = _setting(
        0,
        "Port for the metrics of workers, one more for each further process; 0: none.",
        least=0,
        most=65_000,
    )
    timer_metrics_port: int = _setting(0, "Port for the metrics of the timer; 0: none.", least=0, most=65_000)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting(
        "INFO", "Least level that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )
    log_format: Literal["auto", "json", "text"] = _setting(
        "auto", "auto: JSON in production, text elsewhere.", choices=("auto", "json", "text")
    )

    @property
    def web_all_threads(self) -> int:
        """Streams and downloads come on top: however many are open, requests have their threads."""
        return self.web_threads + self.web_streams + WEB_DOWNLOADS + WEB_LONG_ANSWERS

    @property
    def is_production(self) -> bool:
        return self.app_env == "production"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that the environment gives. Raises ConfigurationError with everything that is wrong."""
    given = {
        name: text for name, text in (os.environ if environ is None else environ).items() if text.strip()
    }
    if given.get("APP_ENV", "development").strip() == "development":
        given = {**read_development_state(given.get("LOCAL_STATE_DIR", ".local").strip()), **given}
    values, problems = _read(given)
    settings = Settings(**values)
    problems += _missing(settings)
    problems += _weak(settings)
    problems += _contradictions(settings)
    if problems:
        raise ConfigurationError(_explain(settings, problems))
    return settings


def _read(given: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    types = get_type_hints(Settings)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in fields(Settings):
        text = given.get(setting.name.upper())
        if text is None:
            continue
        try:
            value = _parse(text.strip(), types[setting.name], setting.metadata["choices"])
        except ValueError as error:
            problems.append(f"{setting.name.upper()} {error}")
            continue
        complaint = _out_of_bounds(value, setting.metadata)
        if complaint:
            problems.append(f"{setting.name.upper()} {complaint}")
        else:
            values[setting.name] = value
    return values, problems


def _parse(text: str, kind: Any, choices: tuple[str, ...]) -> Any:
    if choices:
        return next((choice for choice in choices if choice.lower() == text.lower()), text)
    if kind is bool:
        return _parse_bool(text)
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            noun = "a whole number" if kind is int else "a number"
            raise ValueError(f"must be {noun}, not {text[:40]!r}") from None
    if kind == tuple[str, ...]:
        return tuple(part for part in (piece.strip() for piece in text.split(",")) if part)
    return text


def _parse_bool(text: str) -> bool:
    match text.lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
    raise ValueError(f"must be true or false, not {text[:40]!r}")


def _out_of_bounds(value: Any, rules: Mapping[str, Any]) -> str | None:
    if rules["choices"] and value not in rules["choices"]:
        return f"must be one of {', '.join(rules['choices'])}, not {value[:40]!r}"
    least, most = rules["least"], rules["most"]
    if least is not None and not least <= value <= most:  # NaN fails this, too
        return f"must be between {least} and {most}, not {value}"
    return None


def _missing(settings: Settings) -> list[str]:
    return [
        f"{setting.name.upper()} is not set"
        for setting in fields(settings)
        if setting.metadata["is_required"] and not getattr(settings, setting.name)
    ]


def _weak(settings: Settings) -> list[str]:
    problems = []
    if settings.is_production:
        for name, at_least in MIN_SECRET_BYTES.items():
            secret = getattr(settings, name)
            complaint = weakness(secret, at_least) if secret else None
            if complaint:
                problems.append(f"{name.upper()} {complaint}")
    if settings.encryption_keys:
        try:
            ring = KeyRing.from_setting(settings.encryption_keys)
        except KeySettingError as error:
            return [*problems, f"ENCRYPTION_KEYS: {error}"]
        if settings.is_production and any(len(set(key)) < 8 for key in ring.keys.values()):  # noqa: PLR2004
            problems.append("ENCRYPTION_KEYS: a key repeats itself; draw it at random")
    return problems


def _contradictions(settings: Settings) -> list[str]:
    problems = []
    if settings.mongodb_uri and not settings.mongodb_uri.startswith(("mongodb://", "mongodb+srv://")):
        problems.append("MONGODB_URI must begin with mongodb:// or mongodb+srv://")
    for name in ("graph_base_url", "openai_base_url"):
        complaint = _bad_url(getattr(settings, name), is_production=settings.is_production)
        if complaint:
            problems.append(f"{name.upper()} {complaint}")
    if settings.retry_max_seconds < settings.retry_base_seconds:
        problems.append("RETRY_MAX_SECONDS is less than RETRY_BASE_SECONDS")
    return problems


def _bad_url(url: str, *, is_production: bool) -> str | None:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        return "must be a URL such as https://host/path"
    if is_production and parts.scheme == "http" and host not in _LOCAL_HOSTS:
        return "must begin with https:// in production"
    return None


def _explain(settings: Settings, problems: list[str]) -> str:
    lines = ["The settings are not complete:", *(f"  - {problem}" for problem in problems)]
    if settings.app_env == "development":
        lines.append("Run ./scripts/up first: it starts a database and generates what is missing.")
    lines.append("docs/settings.md describes every setting.")
    return "\n".join(lines)
