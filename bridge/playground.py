"""The whole house in one process: fake Salesforce, fake NetSuite and a real bridge between them. No credentials.

What `bridge sandbox` and `bridge demo` run, and what end-to-end tests stand on. All traffic is on this machine.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

import salesforce_metadata
import suitetalk_wsdl
from bridge.app import Bridge, build, web
from bridge.operators import console
from bridge.sandbox.netsuite import NO_LATENCY, FakeNetSuite, Latency
from bridge.sandbox.salesforce import FakeSalesforce
from bridge.sandbox.wsgi import SandboxServer
from bridge.serving import Served
from bridge.settings import Settings, SigningKey, variable
from bridge.site import read
from bridge.timetable import Timetable, timetable

ORG_ID = "00D5e0000000001EAA"
ACCOUNT = "1234567"
SIMULATED, INSTANT = Latency(), NO_LATENCY


@dataclass
class Playground:
    """Two fakes and the bridge, running."""

    salesforce: FakeSalesforce
    netsuite: FakeNetSuite
    bridge: Bridge
    schedule: Timetable
    callouts: Served
    console: Served
    servers: tuple[SandboxServer, SandboxServer]
    given: Mapping[str, Any]  # the bridge's settings, apart from the environment

    @property
    def pages(self) -> dict[str, str]:
        """Return what a person can open."""
        salesforce, netsuite = self.servers
        return {"Salesforce": salesforce.url, "NetSuite": netsuite.url, "Bridge": self.console.url}

    def keep_settings(self, folder: Path) -> None:
        """Write the bridge's settings as files for ``BRIDGE_SECRETS_DIR``: commands then reach this bridge."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in self.given.items():
            if name == "signing_keys":
                value = json.dumps({kid: key.secret.get_secret_value() for kid, key in value.items() if key.secret})
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            (folder / variable(name).lower()).write_text(text)

    def stop(self) -> None:
        self.schedule.stop()
        self.salesforce.close()
        self.callouts.stop()
        self.console.stop()
        self.bridge.stop()
        for server in self.servers:
            server.stop()


def start(
    database: Path,
    *,
    latency: Latency = INSTANT,
    config: Path | None = None,
    port: int = 0,
    console_port: int = 0,
    salesforce_port: int = 0,
    netsuite_port: int = 0,
    concurrency: int = 5,
    schema_dir: Path | Sequence[Path] | None = None,
    record_requests: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Playground:
    """Start everything on this machine; port 0 takes any that is free. *settings* differ from the sandbox's own.

    Credentials among them are those that both fakes accept.
    """
    schema = schema_dir or Path(suitetalk_wsdl.__file__).parent / "2025_2"
    names = ("netsuite_consumer_key", "netsuite_consumer_secret", "netsuite_token_id", "netsuite_token_secret")
    accepted: dict[str, str] = {name: f"sandbox-{name.removeprefix('netsuite_').replace('_', '-')}" for name in names}
    accepted |= {"salesforce_client_secret": "sandbox-consumer-secret"}
    accepted |= {name: it.get_secret_value() for name, it in (settings or {}).items() if name in accepted and it}
    netsuite = FakeNetSuite(
        schema_dir=schema,
        account=ACCOUNT,
        latency=latency,
        concurrency=concurrency,
        record_requests=record_requests,
        consumer_key=accepted["netsuite_consumer_key"],
        consumer_secret=accepted["netsuite_consumer_secret"],
        token_id=accepted["netsuite_token_id"],
        token_secret=accepted["netsuite_token_secret"],
    )
    metadata = Path(salesforce_metadata.__file__).parent / "force-app" / "main" / "default"
    keys = (settings or {}).get("signing_keys") or {"sandbox": SigningKey(secret=SecretStr(secrets.token_hex(32)))}
    kid, key = next(iter(keys.items()))
    salesforce = FakeSalesforce(
        metadata_dir=metadata,
        org_id=ORG_ID,
        signing_key=(kid, key.secret.get_secret_value()),
        consumer_secret=accepted["salesforce_client_secret"],
    )
    servers = (
        SandboxServer(salesforce, port=salesforce_port).start(),
        SandboxServer(netsuite, port=netsuite_port).start(),
    )
    chosen = config or Path(__file__).parent / "demo.toml"
    own: dict[str, Any] = {
        "environment": "sandbox",
        "database_url": f"sqlite:///{database.absolute()}",
        "carrier": "embedded",
        "config": chosen,
        "signing_keys": keys,
        "netsuite_account": ACCOUNT,
        "netsuite_url": servers[1].url,
        "netsuite_concurrency": concurrency,
        "salesforce_url": servers[0].url,
        "salesforce_org_id": ORG_ID,
        "salesforce_client_id": "sandbox-consumer-key",
        **{name: SecretStr(text) for name, text in accepted.items()},
    }
    site, problems = read(chosen)
    if problems:
        raise ValueError("; ".join(problems))
    given = own | dict(settings or {})
    bridge = build(Settings(**given), site)
    bridge.settle = timedelta(0)  # the fake has no index that lags behind its clock
    bridge.start()
    callouts = Served(web(bridge), "127.0.0.1", port)
    schedule = timetable(bridge)
    pages = Served(console(bridge, schedule), "127.0.0.1", console_port, threads=4, proxy=bridge.settings.proxy)
    callouts.start()
    pages.start()
    schedule.start(catch_up=False)
    salesforce.callouts.url = callouts.url
    return Playground(salesforce, netsuite, bridge, schedule, callouts, pages, servers, given)
