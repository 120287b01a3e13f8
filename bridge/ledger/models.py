"""The tables: Message Attempt Link Lane Call Occurrence Watermark Pause Audit.

One `message` row is inbox, outbox and error desk at once: its state says which. Identical on SQLite and PostgreSQL.

Must not know: any system, HTTP, mapping.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData()

PENDING, SENDING, DEFERRED, UNCERTAIN = "pending", "sending", "deferred", "uncertain"
DELIVERED, UNCHANGED, SUPERSEDED, HELD = "delivered", "unchanged", "superseded", "held"
REJECTED, DEAD, DISMISSED = "rejected", "dead", "dismissed"
OPEN = (PENDING, SENDING, DEFERRED, UNCERTAIN)
SETTLED = (DELIVERED, UNCHANGED, SUPERSEDED, HELD, REJECTED, DEAD, DISMISSED)
NEEDS_PERSON = (REJECTED, DEAD)
# As text, for a database uses a partial index only where a question repeats its condition.
NEEDS = "state IN ('rejected', 'dead')"
WAITS = "state IN ('pending', 'sending', 'deferred', 'uncertain', 'rejected', 'dead')"
IS_DONE = "settled_at IS NOT NULL"
HAS_WORK = "due_at IS NOT NULL"  # which a comparison of it says, too


def as_text(moment: datetime) -> str:
    """Return *moment* as SQLite keeps it."""
    return moment.astimezone(UTC).isoformat(" ", "microseconds")[:26]


class Instant(TypeDecorator[datetime]):
    """An aware UTC moment to the microsecond. SQLite keeps it as text of one width, so that order is order in time."""

    impl = String(26)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        return dialect.type_descriptor(String(26))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else as_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime.fromisoformat(value).replace(tzinfo=UTC)


Id = BigInteger().with_variant(Integer, "sqlite")

message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("sync", String(60), nullable=False),
    Column("source_kind", String(60), nullable=False),
    Column("source_id", String(40), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("modified_at", Instant, nullable=False),
    Column("lane", String(60), nullable=False),
    Column("queue", String(60)),  # the lane while the message is open: history never slows the search for work
    Column("priority", Integer, nullable=False, default=0),
    Column("state", String(12), nullable=False),
    Column("payload", Text, nullable=False),
    Column("source_hash", String(40), nullable=False, default=""),
    Column("origin", String(12), nullable=False),
    Column("actor", String(40)),
    Column("correlation", String(40), nullable=False),
    Column("forced", Boolean, nullable=False, default=False),
    Column("write_back", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("crashes", Integer, nullable=False, default=0),
    Column("due_at", Instant),
    Column("waits_for", String(120)),
    Column("created_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("settled_at", Instant),
    Column("code", String(80)),
    Column("reason", Text),
    Column("who", String(20)),
    Column("field", String(80)),
    Column("detail", Text),
    Column("target_kind", String(60)),
    Column("target_id", String(40)),
    UniqueConstraint("sync", "source_id", "version", "modified_at", name="message_once"),
    Index("message_queue", "queue", "id"),
    Index("message_source", "source_id"),
    Index("message_state", "state", "id"),
    Index("message_waits", "waits_for"),
    Index("message_correlation", "correlation"),
    # What people look at; each holds a row only while, or once, it is so.
    Index("message_cause", "code", "who", "id", sqlite_where=text(NEEDS), postgresql_where=text(NEEDS)),
    Index("message_waiting", "sync", "id", sqlite_where=text(WAITS), postgresql_where=text(WAITS)),
    Index("message_done", "sync", "state", "id", sqlite_where=text(IS_DONE), postgresql_where=text(IS_DONE)),
    sqlite_autoincrement=True,
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("message_id", Id, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", String(20)),
    Column("code", String(80)),
    Column("detail", Text),
    Index("attempt_message", "message_id"),
    Index("attempt_finished", "finished_at"),
)

link = Table(
    "link",
    metadata,
    Column("sync", String(60), primary_key=True),
    Column("source_id", String(40), primary_key=True),
    Column("target_kind", String(60), nullable=False),
    Column("target_id", String(80), nullable=False),
    Column("external_id", String(80)),
    Column("number", String(80)),
    Column("version", BigInteger, nullable=False),
    Column("modified_at", Instant, nullable=False),
    Column("fingerprint", String(40), nullable=False),
    Column("parts", Text),
    Column("updated_at", Instant, nullable=False),
    Index("link_source", "source_id"),
    Index("link_target", "target_id", "sync"),
    Index("link_number", "number"),
)

lane = Table(
    "lane",
    metadata,
    Column("key", String(60), primary_key=True),
    Column("owner", String(60)),
    Column("epoch", BigInteger, nullable=False, default=0),
    Column("lease_until", Instant),
    Column("due_at", Instant),
    Column("priority", Integer, nullable=False, default=0),
    Index("lane_due", "priority", "due_at", sqlite_where=text(HAS_WORK), postgresql_where=text(HAS_WORK)),
)

call = Table(
    "call",
    metadata,
    Column("org", String(18), primary_key=True),
    Column("id", String(40), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("correlation", String(40), nullable=False),
    Column("received_at", Instant, nullable=False),
)

occurrence = Table(
    "occurrence",
    metadata,
    Column("job", String(60), primary_key=True),
    Column("scheduled_at", Instant, primary_key=True),
    Column("instance", String(60), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", String(20)),
    Column("report", Text),
)

watermark = Table(
    "watermark",
    metadata,
    Column("job", String(60), primary_key=True),
    Column("until", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

pause = Table(
    "pause",
    metadata,
    Column("scope", String(60), primary_key=True),
    Column("since", Instant, nullable=False),
    Column("probe_at", Instant),
    Column("code", String(80), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(40), nullable=False),
)

# Bulk jobs of Salesforce that may still write, whatever became of the process that started them.
bulk_job = Table(
    "bulk_job",
    metadata,
    Column("job_id", String(18), primary_key=True),
    Column("lane", String(60), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("started_at", Instant, nullable=False),
    Index("bulk_job_lane", "lane"),
)

slot = Table(
    "slot",
    metadata,
    Column("n", Integer, primary_key=True),
    Column("owner", String(60)),
    Column("lease_until", Instant),
    Column("wanted_until", Instant),
)

audit = Table(
    "audit",
    metadata,
    Column("chain", Integer, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(40), nullable=False),
    Column("action", String(20), nullable=False),
    Column("sync", String(60)),
    Column("source_id", String(40)),
    Column("target", String(140)),
    Column("message_id", Id),
    Column("correlation", String(40)),
    Column("code", String(80)),
    Column("detail", Text),
    Column("before", String(40)),
    Column("after", String(40)),
    Column("mapping", String(16)),
    Column("hash", String(64), nullable=False),
    Index("audit_source", "source_id"),
    Index("audit_message", "message_id"),
    Index("audit_at", "at"),
    Index("audit_actor", "actor", "at"),
    Index("audit_target", "target"),
)

# Configurations that were made live without a restart, the newest last.
configuration = Table(
    "configuration",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("author", String(40), nullable=False),
    Column("reason", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("mapping", String(16), nullable=False),
    sqlite_autoincrement=True,
)

# One row for each thing that may go wrong for a while: told once when it begins, and once when it is over.
incident = Table(
    "incident",
    metadata,
    Column("key", String(120), primary_key=True),
    Column("code", String(80), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("who", String(20), nullable=False),
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("told_at", Instant),
    Column("ended_at", Instant),
    Column("end_told_at", Instant),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("chain", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

wsdl_set = Table(
    "wsdl_set",
    metadata,
    Column("seal", String(64), primary_key=True),
    Column("version", String(10), nullable=False),
    Column("source", String(200), nullable=False),
    Column("fetched_at", Instant, nullable=False),
    Column("actor", String(40), nullable=False),
    Column("manifest", Text, nullable=False),
)

wsdl_file = Table(
    "wsdl_file",
    metadata,
    Column("seal", String(64), primary_key=True),
    Column("name", String(120), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

wsdl_live = Table(
    "wsdl_live",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("seal", String(64)),
    Column("version", String(10), nullable=False),
    Column("action", String(10), nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(40), nullable=False),
    Column("reason", Text, nullable=False),
)

wsdl_instance = Table(
    "wsdl_instance",
    metadata,
    Column("owner", String(60), primary_key=True),
    Column("n", Integer, nullable=False),
    Column("version", String(10), nullable=False),
    Column("seen_at", Instant, nullable=False),
)

pin = Table(
    "pin",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(80), nullable=False),
    Column("at", Instant, nullable=False),
)

# What the last reconciliation found to differ, one row a record. Amounts are text, exact to the last digit.
difference = Table(
    "difference",
    metadata,
    Column("sync", String(60), primary_key=True),
    Column("external_id", String(80), primary_key=True),
    Column("source_id", String(80), nullable=False),
    Column("what", String(10), nullable=False),
    Column("target_id", String(40)),
    Column("currency", String(10)),
    Column("ours", String(40)),
    Column("theirs", String(40)),
    Column("sentence", Text, nullable=False),
    Column("who", String(20), nullable=False),
    Column("since", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)
