"""Settings: defaults, types, bounds, what production refuses, and the local state file."""

from __future__ import annotations

import base64
import dataclasses
import stat
from pathlib import Path

import pytest

from common.development_state import ensure_development_state, read_development_state, write_development_state
from common.errors import ConfigurationError
from common.settings import Settings, load_settings

KEY = base64.b64encode(bytes(range(32))).decode()
PRODUCTION = {
    "APP_ENV": "production",
    "MONGODB_URI": "mongodb://db.example.org/?replicaSet=rs0",
    "JWT_SECRET": "Zm3uX9qL2vT7sB4nW8kR1yD6hG5jC0pA",
    "ENCRYPTION_KEYS": f"main:{KEY}",
    "META_APP_SECRET": "9f86d081884c7d659a2feaa0c55ad015",
    "WEBHOOK_VERIFY_TOKEN": "k3v9-Quince-Harbor-71",
}


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    return str(caught.value)


def test_complete_production_settings_load() -> None:
    settings = load_settings({**PRODUCTION, "PORT": "8080", "MARK_AS_READ": "no", "LEASE_SECONDS": "2.5"})
    assert settings.is_production
    assert (settings.port, settings.mark_as_read, settings.lease_seconds) == (8080, False, 2.5)
    assert settings.jwt_secret == PRODUCTION["JWT_SECRET"]


def test_everything_missing_is_listed_at_once() -> None:
    message = refusal({"APP_ENV": "production"})
    for name in PRODUCTION.keys() - {"APP_ENV"}:
        assert f"{name} is not set" in message


def test_everything_wrong_is_listed_at_once() -> None:
    message = refusal(
        {**PRODUCTION, "PORT": "x", "LEASE_SECONDS": "nan", "JWT_SECRET": "short", "APP_ENV": "production"}
    )
    assert "PORT must be a whole number, not 'x'" in message
    assert "LEASE_SECONDS must be between 1 and 600" in message
    assert "JWT_SECRET is shorter than 32 bytes" in message


def test_blank_counts_as_not_set() -> None:
    assert "JWT_SECRET is not set" in refusal({**PRODUCTION, "JWT_SECRET": "  "})
    assert load_settings({**PRODUCTION, "PORT": ""}).port == 5000


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("PORT", "0", "between 1 and 65535"),
        ("PORT", "65536", "between 1 and 65535"),
        ("WEB_THREADS", "1.5", "a whole number"),
        ("STOP_SECONDS", "inf", "between 0 and 600"),
        ("RETRY_BASE_SECONDS", "ten", "a number"),
        ("MARK_AS_READ", "maybe", "true or false"),
        ("SEND_UNKNOWN_POLICY", "NEVER", "AUTO, HOLD, RESEND"),
        ("APP_ENV", "staging", "development, test, production"),
        ("LOG_LEVEL", "LOUD", "DEBUG, INFO"),
        ("MONGODB_URI", "postgres://db", "must begin with mongodb://"),
        ("GRAPH_BASE_URL", "graph.facebook.com", "must be a URL"),
        ("GRAPH_BASE_URL", "http://[::1", "must be a URL"),
        ("OPENAI_BASE_URL", "http://api.example.org/v1", "https:// in production"),
        ("ENCRYPTION_KEYS", "main", "name:base64-of-32-bytes"),
        ("ENCRYPTION_KEYS", "main:abc", "is not base64"),
        ("ENCRYPTION_KEYS", "main:c2hvcnQ=", "has 5 bytes, not 32"),
        ("ENCRYPTION_KEYS", f"main:{KEY},main:{KEY}", "twice"),
        ("ENCRYPTION_KEYS", "main:" + "A" * 43 + "=", "repeats itself"),
    ],
)
def test_wrong_values_are_named(name: str, text: str, complaint: str) -> None:
    message = refusal({**PRODUCTION, name: text})
    assert name in message
    assert complaint in message


@pytest.mark.parametrize("name", ["JWT_SECRET", "META_APP_SECRET", "WEBHOOK_VERIFY_TOKEN"])
@pytest.mark.parametrize(
    "secret",
    [
        "your-secret-key",
        "123456",
        "secret",
        "changeme",
        "your-super-secret-jwt-key-change-this-in-production",
        "12345678901234567890123456789012",
        "a" * 64,
        "k8Zq" * 16,
        "short",
    ],
)
def test_production_refuses_weak_secrets(name: str, secret: str) -> None:
    assert name in refusal({**PRODUCTION, name: secret})


def test_weak_secrets_are_fine_outside_production_but_malformed_keys_are_not() -> None:
    environ = {**PRODUCTION, "APP_ENV": "test", "JWT_SECRET": "secret"}
    assert load_settings(environ).jwt_secret == "secret"
    assert "ENCRYPTION_KEYS" in refusal({**environ, "ENCRYPTION_KEYS": "x"})


def test_no_message_and_no_representation_shows_a_secret() -> None:
    settings = load_settings(PRODUCTION)
    for name in ("JWT_SECRET", "ENCRYPTION_KEYS", "META_APP_SECRET", "WEBHOOK_VERIFY_TOKEN"):
        assert PRODUCTION[name] not in repr(settings)
    message = refusal({**PRODUCTION, "JWT_SECRET": "canary-value", "ENCRYPTION_KEYS": "main:canary-value"})
    assert "canary-value" not in message


def test_lists_and_letter_case() -> None:
    environ = {**PRODUCTION, "HTTP_ALLOWED_HOSTS": "crm.local:8080, ,127.0.0.1", "LOG_LEVEL": "debug"}
    settings = load_settings(environ)
    assert settings.http_allowed_hosts == ("crm.local:8080", "127.0.0.1")
    assert settings.log_level == "DEBUG"


def test_contradicting_pauses_are_refused() -> None:
    message = refusal({**PRODUCTION, "RETRY_BASE_SECONDS": "10", "RETRY_MAX_SECONDS": "5"})
    assert "RETRY_MAX_SECONDS is less than RETRY_BASE_SECONDS" in message


def test_every_default_keeps_its_own_bounds() -> None:
    for setting in dataclasses.fields(Settings):
        least, most = setting.metadata["least"], setting.metadata["most"]
        assert setting.metadata["help"].endswith((".", ")"))
        if least is not None:
            assert least <= setting.default <= most
        if setting.metadata["choices"]:
            assert setting.default in setting.metadata["choices"]


def test_development_reads_the_state_file_below_the_environment(tmp_path: Path) -> None:
    state = ensure_development_state(str(tmp_path))
    write_development_state({**state, "MONGODB_URI": "mongodb://127.0.0.1:1/?x='y\\z'"}, str(tmp_path))
    settings = load_settings({"LOCAL_STATE_DIR": str(tmp_path), "META_APP_SECRET": "mine"})
    assert settings.jwt_secret == state["JWT_SECRET"]
    assert settings.mongodb_uri == "mongodb://127.0.0.1:1/?x='y\\z'"
    assert settings.meta_app_secret == "mine"


def test_only_development_reads_the_state_file(tmp_path: Path) -> None:
    ensure_development_state(str(tmp_path))
    assert "JWT_SECRET is not set" in refusal({"APP_ENV": "production", "LOCAL_STATE_DIR": str(tmp_path)})


def test_generated_secrets_are_kept_private_and_strong(tmp_path: Path) -> None:
    first = ensure_development_state(str(tmp_path / "new"))
    assert ensure_development_state(str(tmp_path / "new")) == first
    mode = stat.S_IMODE((tmp_path / "new" / "development.env").stat().st_mode)
    assert mode == 0o600
    assert load_settings({**PRODUCTION, **first}).jwt_secret == first["JWT_SECRET"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["development.env"]


def test_a_lost_secret_is_generated_again_and_the_rest_kept(tmp_path: Path) -> None:
    first = ensure_development_state(str(tmp_path))
    write_development_state({"JWT_SECRET": first["JWT_SECRET"], "PORT": "5001"}, str(tmp_path))
    second = ensure_development_state(str(tmp_path))
    assert (second["JWT_SECRET"], second["PORT"]) == (first["JWT_SECRET"], "5001")
    assert second["ENCRYPTION_KEYS"] != first["ENCRYPTION_KEYS"]
    assert read_development_state(str(tmp_path)) == second


def test_development_says_how_to_get_what_is_missing(tmp_path: Path) -> None:
    assert "./scripts/up" in refusal({"LOCAL_STATE_DIR": str(tmp_path)})
