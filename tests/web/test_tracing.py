"""With OpenTelemetry the span of a callout tells which records and which correlation it is about; without, nothing."""

from __future__ import annotations

import hmac
import json
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bridge import playground, tracing
from bridge.app import web

ACCOUNT = "001000000000009AAA"


def test_the_span_of_a_callout_tells_its_correlation_and_its_records(tmp_path: Path) -> None:
    house = playground.start(tmp_path / "bridge.sqlite3")
    seen, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    front: Any = web(house.bridge)
    FlaskInstrumentor().instrument_app(front, tracer_provider=provider)
    saved = {
        "Id": ACCOUNT,
        "SystemModstamp": datetime.now(UTC).isoformat(),
        "Bridge_Version__c": 1,
        "Name": "Canary Ltd",
    }
    body = json.dumps(
        {"id": str(uuid.uuid4()), "sentAt": datetime.now(UTC).isoformat(), "org": playground.ORG_ID,
         "user": "005000000000001AAA", "records": [saved]}
    ).encode()  # fmt: skip
    key = house.bridge.settings.signing_keys["sandbox"].secret
    assert key is not None
    mac = hmac.digest(key.get_secret_value().encode(), body, "sha256").hex()

    answer = front.test_client().post(
        "/v1/push/Account", data=body, headers={"X-Bridge-Signature": f"k=sandbox,v1={mac}"}
    )
    house.stop()

    (span,) = seen.get_finished_spans()
    told = dict(span.attributes or {})
    assert told["bridge.correlation"] == answer.get_json()["correlation"]
    assert told["bridge.records"] == (ACCOUNT,)
    assert "customer" in told["bridge.syncs"]  # type: ignore[operator]
    assert "Canary" not in repr(told)


def test_outside_of_a_span_nothing_happens() -> None:
    tracing.about(correlation="c")


def test_without_the_package_nothing_happens() -> None:
    blocked = (
        "import sys; sys.modules['opentelemetry'] = None\nfrom bridge import tracing; tracing.about(correlation='c')"
    )

    assert subprocess.run([sys.executable, "-c", blocked], check=False).returncode == 0
