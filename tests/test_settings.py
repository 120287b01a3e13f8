"""Settings: everything wrong is said at once, by the variable's name, and no secret is ever printed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bridge.settings import EXAMPLES, NotConfigured, Settings, SigningKey, load

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CANARY = "canary-value-that-must-not-be-seen-anywhere"
COMPLETE = {
    "BRIDGE_ENVIRONMENT": "production",
    "BRIDGE_AUDIT_KEY": CANARY,
    "BRIDGE_SIGNING_KEYS": f'{{"2026a": {{"secret": "{CANARY}"}}}}',
    "BRIDGE_NETSUITE_ACCOUNT": "1234567",
    "BRIDGE_NETSUITE_CONSUMER_KEY": CANARY,
    "BRIDGE_NETSUITE_CONSUMER_SECRET": CANARY,
    "BRIDGE_NETSUITE_TOKEN_ID": CANARY,
    "BRIDGE_NETSUITE_TOKEN_SECRET": CANARY,
    "BRIDGE_SALESFORCE_DOMAIN": "acme.my",
    "BRIDGE_SALESFORCE_ORG_ID": "00D000000000001EAA",
    "BRIDGE_SALESFORCE_CLIENT_ID": "client",
    "BRIDGE_SALESFORCE_CLIENT_SECRET": CANARY,
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*COMPLETE, "DATABASE_URL", "BRIDGE_DATABASE_URL", "BRIDGE_SECRETS_DIR", "BRIDGE_FAILPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def problems(monkeypatch: pytest.MonkeyPatch, **environment: str) -> tuple[str, ...]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(NotConfigured) as caught:
        load()
    return caught.value.problems


def certificate(bits: int = 2048) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bridge")])
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOON, NOON + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    return built.decode()


def test_the_sandbox_needs_no_setting() -> None:
    settings, site = load()

    assert settings.environment == "sandbox"
    assert settings.database_url == "sqlite:///var/bridge.sqlite3"
    assert site.site.currency == "USD"


def test_production_names_every_missing_setting_in_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(monkeypatch, BRIDGE_ENVIRONMENT="production")

    for name in COMPLETE.keys() - {"BRIDGE_ENVIRONMENT"}:
        assert sum(name in sentence for sentence in found) == 1, name
    assert all(sentence.endswith(".") for sentence in found)


def test_a_complete_production_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)

    settings, _ = load()

    assert settings.environment == "production"
    assert settings.netsuite_token_secret is not None


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**COMPLETE, "DATABASE_URL": f"postgresql://bridge:{CANARY}@db/bridge"}.items():
        monkeypatch.setenv(name, value)

    settings, _ = load()

    assert CANARY not in repr(settings)
    assert CANARY not in str(settings)
    assert settings.database == "postgresql://bridge:***@db/bridge"


def test_a_wrong_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(
        monkeypatch,
        **{
            **COMPLETE,
            "BRIDGE_SIGNING_KEYS": f'{{"2026a": {{"key": "{CANARY}"}}}}',
            "BRIDGE_PORT": CANARY,
            "BRIDGE_NETSUITE_URL": f"https://{CANARY}.example.com",
            "BRIDGE_FAILPOINT": "after_push:kill",
        },
    )

    assert [sentence.split(" ")[0].split(":")[0] for sentence in found] == [
        "BRIDGE_PORT",
        "BRIDGE_SIGNING_KEYS.2026a.key",
        "BRIDGE_NETSUITE_URL",
        "BRIDGE_FAILPOINT",
    ]
    assert CANARY not in "".join(found)


@pytest.mark.parametrize(
    ("name", "example"),
    [
        ("BRIDGE_NETSUITE_ACCOUNT", "1234567_SB1"),
        ("BRIDGE_SUITETALK_VERSION", "2025_2"),
        ("BRIDGE_SALESFORCE_ORG_ID", "18 characters"),
        ("BRIDGE_SALESFORCE_VERSION", "65.0"),
        ("BRIDGE_SIGNING_KEYS", "2026-a"),
    ],
)
def test_a_value_of_another_form_is_told_how_it_should_look(
    monkeypatch: pytest.MonkeyPatch, name: str, example: str
) -> None:
    wrong = '{"no name": "' + "f" * 64 + '"}' if name == "BRIDGE_SIGNING_KEYS" else "not at all"

    (sentence,) = (it for it in problems(monkeypatch, **{**COMPLETE, name: wrong}) if "right form" in it)

    assert sentence.startswith(name)
    assert example in sentence
    assert not set("^$[\\") & set(sentence.replace("[key]", ""))


def test_every_pattern_has_an_example() -> None:
    patterns = {name for name, it in Settings.model_fields.items() if "pattern=" in repr(it.metadata)}

    assert patterns | {"signing_keys"} == set(EXAMPLES)


def test_settings_that_are_not_json_are_one_problem_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    found = problems(monkeypatch, BRIDGE_SIGNING_KEYS=CANARY, BRIDGE_REQUEST_BUDGET_S="101", BRIDGE_CARRIER="pigeon")

    assert len(found) == 3
    assert CANARY not in "".join(found)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BRIDGE_NETSUITE_URL", "https://evil.example/.suitetalk.api.netsuite.com"),
        ("BRIDGE_NETSUITE_URL", "https://1234567.suitetalk.api.netsuite.com.evil.example"),
        ("BRIDGE_NETSUITE_URL", "http://1234567.suitetalk.api.netsuite.com"),
        ("BRIDGE_NETSUITE_URL", "http://127.0.0.1:8090"),
        ("BRIDGE_SALESFORCE_URL", "http://127.0.0.1:8090"),
        ("BRIDGE_SALESFORCE_DOMAIN", "evil.example/.my"),
        ("BRIDGE_SALESFORCE_ORG_ID", "00D00000000001"),
        ("BRIDGE_SIGNING_KEYS", '{"2026a": "short"}'),
        ("BRIDGE_SIGNING_KEYS", '{"a.b": "a-secret-that-is-quite-long-enough-for-us"}'),
        ("BRIDGE_AUDIT_KEY", ""),
        ("BRIDGE_SALESFORCE_JWT_KEY", "both ways to sign in"),
        ("BRIDGE_NETSUITE_ACOUNT", "1234567"),
        ("BRIDGE_CONFIG", "absent.toml"),
        ("BRIDGE_SECRETS_DIR", "absent"),
        ("BRIDGE_CARRIER", "procrastinate"),
        ("BRIDGE_DATABASE_URL", "mysql://db/bridge"),
    ],
)
def test_production_refuses(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    found = problems(monkeypatch, **{**COMPLETE, variable: value})

    assert any(sentence.startswith((variable, "absent.toml")) for sentence in found), found


def test_a_fake_on_this_machine_is_allowed_outside_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**COMPLETE, "BRIDGE_ENVIRONMENT": "test"}.items():
        monkeypatch.setenv(name, value)

    settings, _ = load(netsuite_url="http://127.0.0.1:8090", salesforce_url="http://localhost:8091")

    assert settings.netsuite_url == "http://127.0.0.1:8090"


def test_what_a_platform_adds_to_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SERVICE_HOST", "10.0.0.1")

    load()


def test_a_secret_may_be_a_mounted_file_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bridge_netsuite_token_secret").write_text("from a file\n")
    (tmp_path / "bridge_netsuite_token_id").write_text("from a file")
    monkeypatch.setenv("BRIDGE_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("BRIDGE_NETSUITE_TOKEN_ID", "from the environment")

    settings, _ = load()

    assert settings.netsuite_token_secret is not None
    assert settings.netsuite_token_secret.get_secret_value() == "from a file"
    assert settings.netsuite_token_id is not None
    assert settings.netsuite_token_id.get_secret_value() == "from the environment"


def test_problems_of_the_site_come_in_the_same_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bridge.toml").write_text("[site]\ncurency = 'USD'\n")

    found = problems(monkeypatch, BRIDGE_PORT="0")

    assert len(found) == 2
    assert found[1] == "bridge.toml: site.curency is not a setting."


def test_a_key_counts_from_its_first_day_until_its_last() -> None:
    key = SigningKey.model_validate({"secret": "x", "not_before": NOON, "not_after": NOON + timedelta(hours=1)})

    assert not key.is_valid(NOON - timedelta(seconds=1))
    assert key.is_valid(NOON)
    assert not key.is_valid(NOON + timedelta(hours=1))


def test_a_certificate_is_read_at_the_start() -> None:
    assert SigningKey(kind="certificate", certificate=certificate())


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "certificate", "certificate": "not one"},
        {"kind": "certificate", "secret": "x"},
        {"kind": "hmac"},
        {"secret": ""},
        {"secret": "x", "certificate": "y"},
        {"secret": "x", "not_before": NOON, "not_after": NOON},
        {"kind": "certificate", "certificate": certificate(1024)},
    ],
)
def test_a_key_that_cannot_work_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"key|secret|certificate|not_after"):
        SigningKey.model_validate(wrong)


def test_settings_cannot_be_changed_while_running() -> None:
    settings = Settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
