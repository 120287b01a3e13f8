"""The operators' tables: Account Session Person Triage Edit Plan Cadence Name Remitted Tally Place Sample Exchange.

What people do at the console, and what is counted or named ahead so that a page need not look through all messages.

Must not know: any system, HTTP, mapping.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from bridge.ledger.models import Id, Instant, metadata

# --- who may come in ---

account = Table(
    "console_account",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("password", String(200), nullable=False),  # a hash, with its parameters and its salt
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("failed_at", Instant),
    Column("used_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("factor", String(200)),  # the second one, sealed
    Column("factor_step", BigInteger),  # of the last code that was used
)

session = Table(
    "console_session",
    metadata,
    Column("key", String(64), primary_key=True),  # a hash of what the cookie holds
    Column("name", String(40), nullable=False),  # empty: on the way to sign in
    Column("role", String(20), nullable=False),
    Column("way", String(10), nullable=False),
    Column("token", String(64), nullable=False),  # against forged forms
    Column("data", Text),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("asked_at", Instant),  # when a password was asked for; unknown where the provider does not say
    Index("console_session_until", "until"),
)

known_person = Table(
    "console_person",
    metadata,
    Column("subject", String(64), primary_key=True),  # a hash of what the provider calls them for ever
    Column("name", String(40), nullable=False, unique=True),
)

# --- what people did to messages ---

triage = Table(
    "triage",
    metadata,
    Column("message_id", Id, primary_key=True, autoincrement=False),
    Column("assignee", String(40)),
    Column("tags", String(200)),  # words between blanks, one before the first and one after the last
    Column("updated_at", Instant, nullable=False),
)

edit = Table(
    "edit",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("message_id", Id, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(40), nullable=False),
    Column("field", String(140), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Index("edit_message", "message_id"),
    sqlite_autoincrement=True,
)

plan = Table(
    "plan",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("action", String(20), nullable=False),
    Column("value", Text),  # whom to assign, which tag, which edit
    Column("reason", Text),
    Column("messages", Text, nullable=False),  # their numbers
    Column("count", Integer, nullable=False),
    Column("sums", Text, nullable=False),
    Column("is_guarded", Boolean, nullable=False),  # a second person must approve
    Column("state", String(12), nullable=False),
    Column("asked_by", String(40), nullable=False),
    Column("asked_way", String(10)),  # how they had come in
    Column("asked_at", Instant, nullable=False),
    Column("decided_by", String(40)),
    Column("decided_at", Instant),
    Column("done", Integer),
    Index("plan_state", "state", "id"),
    sqlite_autoincrement=True,
)

exchange = Table(
    "exchange",
    metadata,
    Column("message_id", Id, primary_key=True, autoincrement=False),  # the newest that went wrong
    Column("at", Instant, nullable=False),
    Column("request", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Index("exchange_at", "at"),
)

cadence = Table(
    "cadence",
    metadata,
    Column("job", String(60), primary_key=True),
    Column("chosen", Text, nullable=False),
    Column("actor", String(40), nullable=False),
    Column("changed_at", Instant, nullable=False),
)

# --- named and counted ahead ---

named = Table(
    "named",
    metadata,
    Column("source_id", String(40), primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("name", String(255), nullable=False),
    Column("folded", String(80), nullable=False),  # the beginning of the name as it is searched for
    Column("message_id", Id, nullable=False),  # from which it was taken
    Index("named_folded", "folded"),
    Index("named_kind", "kind", "message_id"),
)

remitted = Table(
    "remitted",
    metadata,
    Column("row_key", String(120), primary_key=True),
    Column("application_id", String(18)),
    Column("payment_id", String(40), nullable=False),
    Column("number", String(80)),
    Column("day", String(10)),
    Column("amount", String(30), nullable=False),
    Column("hundredths", BigInteger, nullable=False),  # the same in hundredths of a cent: sums stay exact in SQL
    Column("currency", String(40)),
    Index("remitted_application", "application_id"),
    Index("remitted_day", "day"),
)

tally = Table(
    "tally",
    metadata,
    Column("hour", String(13), primary_key=True),  # 2026-11-20 12, UTC
    Column("sync", String(60), primary_key=True),
    Column("outcome", String(20), primary_key=True),
    Column("bucket", Integer, primary_key=True),  # of seconds from save to NetSuite; -1 where nobody waited
    Column("number", Integer, nullable=False),
)

place = Table(
    "place",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("number", BigInteger, nullable=False),  # the last row that was taken in
)

sample = Table(
    "sample",
    metadata,
    Column("at", String(16), primary_key=True),  # 2026-11-20 12:35, UTC
    Column("waiting", Integer, nullable=False),
    Column("person", Integer, nullable=False),
)

# What could be sent now, sync by sync, and how many were done within the last seconds; see `bridge.ledger.backlog`.
backlog = Table(
    "backlog",
    metadata,
    Column("sync", String(60), primary_key=True),
    Column("waiting", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("within_s", Integer, nullable=False),
    Column("at", Instant, nullable=False),
)
