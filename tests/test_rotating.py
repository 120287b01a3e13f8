"""New secrets in mounted files count without a restart, and whatever was refused by the old ones drains."""

from __future__ import annotations

import hmac
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from bridge import playground, rotating
from bridge.ledger import incidents
from bridge.ledger.models import audit
from tests.e2e.company import Company

NEW = "canary-new-secret-of-at-least-32-characters"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "secrets"
    made.mkdir()
    return made


@pytest.fixture
def company(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """A house whose secrets are files, which it looks at ten times a second."""
    monkeypatch.setenv("BRIDGE_SECRETS_DIR", str(folder))
    monkeypatch.setattr(rotating, "LOOK_S", 0.1)
    house = playground.start(tmp_path / "bridge.sqlite3")
    for name in ("netsuite_account", "netsuite_url", "salesforce_url", "salesforce_org_id", "salesforce_client_id"):
        monkeypatch.setenv(f"BRIDGE_{name.upper()}", str(getattr(house.bridge.settings, name)))
    yield Company(house)
    house.stop()


def mount(company: Company, folder: Path, **changes: Any) -> None:
    """Write all secrets as files, as they are but for *changes*, each put in its place at once."""
    settings = company.house.bridge.settings
    keys = {kid: it.secret.get_secret_value() for kid, it in settings.signing_keys.items() if it.secret is not None}
    secrets = {
        name: getattr(settings, name).get_secret_value()
        for name in ("netsuite_consumer_key", "netsuite_consumer_secret", "netsuite_token_id", "netsuite_token_secret")
    }
    secrets |= {"salesforce_client_secret": settings.salesforce_client_secret.get_secret_value()}  # type: ignore[union-attr]
    secrets |= {"signing_keys": json.dumps(keys)} | changes
    for name, text in secrets.items():
        fresh = folder.parent / f"new-{name}"
        fresh.write_text(text)
        fresh.replace(folder / f"bridge_{name}")


def said(company: Company, action: str) -> list[str]:
    with company.house.bridge.ledger.read() as connection:
        return list(connection.execute(select(audit.c.detail).where(audit.c.action == action)).scalars())


def paused(company: Company) -> bool:
    text = requests.get(f"{company.house.callouts.url}/metrics", timeout=10).text
    return "bridge_paused 1" in text


def test_a_revoked_netsuite_token_pauses_and_a_new_one_in_a_file_drains(company: Company, folder: Path) -> None:
    mount(company, folder)
    company.house.bridge.learner.stop()  # NetSuite locks a token after five refusals: nothing else may ask meanwhile
    assert company.status(company.account("Quarry Road Tyres")) == "delivered"
    company.house.netsuite.gate.credentials.token_secret = NEW
    account = company.account()
    assert paused(company)
    assert len(company.all("customer")) == 1

    mount(company, folder, netsuite_token_secret=NEW)

    company.until(lambda: company.status(account) == "delivered")
    assert len(company.all("customer")) == 2
    assert not paused(company)
    assert said(company, "secrets_changed") == ["taken over from files: BRIDGE_NETSUITE_TOKEN_SECRET"]


def test_a_new_salesforce_secret_is_used_from_the_next_login_on(company: Company, folder: Path) -> None:
    mount(company, folder)
    company.sf.login.rotate(NEW)
    mount(company, folder, salesforce_client_secret=NEW)
    company.until(lambda: bool(said(company, "secrets_changed")))
    company.sf.login.revoke_all()

    account = company.account()

    company.until(lambda: company.status(account) == "delivered")


def signed_by(company: Company, kid: str, secret: str) -> int:
    """Call as Apex would with that key; return the status of the answer."""
    sent = {"id": str(uuid.uuid4()), "sentAt": datetime.now(UTC).isoformat(), "org": playground.ORG_ID, "records": [],
            "user": "005000000000001AAA", "deleted": [{"Id": "001000000000009AAA"}]}  # fmt: skip
    body = json.dumps(sent).encode()
    header = {"X-Bridge-Signature": f"k={kid},v1={hmac.digest(secret.encode(), body, 'sha256').hex()}"}
    return requests.post(f"{company.house.callouts.url}/v1/push/Account", body, headers=header, timeout=10).status_code


def test_a_new_signing_key_counts_beside_the_old_one_until_its_last_day(
    company: Company, folder: Path, kept: Callable[..., str]
) -> None:
    key = company.house.bridge.settings.signing_keys["sandbox"].secret
    assert key is not None
    old = ("sandbox", key.get_secret_value())
    tomorrow, yesterday = (datetime.now(UTC) + timedelta(days=it) for it in (1, -1))

    mount(company, folder, signing_keys=kept(company, tomorrow, next=NEW))
    company.until(lambda: len(said(company, "secrets_changed")) == 1)
    assert [signed_by(company, *old), signed_by(company, "next", NEW)] == [200, 200]

    mount(company, folder, signing_keys=kept(company, yesterday, next=NEW))
    company.until(lambda: len(said(company, "secrets_changed")) == 2)
    assert [signed_by(company, *old), signed_by(company, "next", NEW)] == [401, 200]
    told = "taken over from files: BRIDGE_SIGNING_KEYS (next added, sandbox changed)"
    assert said(company, "secrets_changed")[0] == told


@pytest.fixture
def kept() -> Callable[..., str]:
    def made(company: Company, until: datetime, **more: str) -> str:
        secret = company.house.bridge.settings.signing_keys["sandbox"].secret
        assert secret is not None
        old = {"secret": secret.get_secret_value(), "not_after": until.isoformat()}
        return json.dumps({"sandbox": old, **more})

    return made


def test_secrets_that_cannot_work_leave_the_old_ones_in_place(company: Company, folder: Path) -> None:
    mount(company, folder, signing_keys="canary {")

    def told() -> list[str]:
        with company.house.bridge.ledger.read() as connection:
            return [it.sentence for it in incidents.open_ones(connection) if it.code == "SECRETS_REFUSED"]

    company.until(lambda: bool(told()))
    assert "BRIDGE_SIGNING_KEYS" in told()[0]
    assert "canary" not in told()[0]
    account = company.account()
    assert company.status(account) == "delivered"

    mount(company, folder)

    company.until(lambda: not told())
    assert said(company, "secrets_changed") == []
