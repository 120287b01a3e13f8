"""Which Application a payment belongs to, where the documents it is applied to do not say.

A custom field that accounting fills in (the site's ``remittance_field``), else the only open funding of the customer in
that currency. What has neither waits in suspense, is listed with its age, and is looked at again with every pull.

Must not know: SOAP, HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from bridge.ledger import Ledger, links, messages, plain, pulled
from bridge.ledger.models import HELD, link, message
from bridge.mapping import Pull, Syncs
from bridge.ports import Fields, MirrorSystem, Record, Ref

ORDER, CUSTOMER = "sales_order", "customer"  # the pushes that lead from NetSuite back to Application and Account
FUNDING = ("StageName", "Funding_Accepted__c", "Remaining_Balance__c", "CurrencyIsoCode")
MOST = 2000  # payments of strangers looked at again in one pull
MOMENT = timedelta(microseconds=1)


def payer(fields: Fields) -> Any:
    """Return the customer of a payment or document, however its kind calls it."""
    return fields.get("customer") or fields.get("entity")


@dataclass(frozen=True, slots=True)
class Suspended:
    """An amount of a payment or document that belongs to no Application yet."""

    payment: str
    number: str | None
    key: str
    amount: Decimal
    currency: str
    since: datetime


def suspense(connection: Connection, pull: Pull) -> list[Suspended]:
    """List what is in suspense, the oldest first."""
    found = []
    query = select(link).where(link.c.sync == pull.name, link.c.parts.contains('"suspense":'))
    for row in connection.execute(query):
        parts = plain.loads(row.parts)
        for key, (amount, currency) in parts["suspense"].items():
            found.append(
                Suspended(row.source_id, row.number, key, Decimal(amount), currency, parts["suspended_at"])
            )  # fmt: skip
    return sorted(found, key=lambda it: (it.since, it.key))


def in_suspense(pull: Pull, records: Iterable[Record]) -> dict[str, tuple[str, str]]:
    """Return, of the rows that a payment has become, amount and currency of those that belong to no Application."""
    owned = pull.owned
    if owned is None:
        return {}
    return {
        str(it.ref.external_id): (str(it.fields[owned.amount]), str(it.fields.get("Currency__c") or ""))
        for it in records
        if it.ref.kind == pull.target and it.fields.get(owned.amount) and it.fields.get(owned.parent) is None
    }


def applications(
    ledger: Ledger,
    salesforce: MirrorSystem,
    syncs: Syncs,
    pull: Pull,
    payments: Sequence[Record],
    related: Mapping[str, Fields],
) -> dict[str, str]:
    """Return the Application of those of *payments* that need to be told. Raises as Salesforce does."""
    if pull.owned is None or ORDER not in syncs.pushes:
        return {}
    with ledger.read() as connection:
        unclear = _unclear(connection, pull, payments, related)
        named = {**_requested(connection, syncs, pull, unclear), **_named(connection, syncs, unclear)}
        rest = [it for it in unclear if str(it.ref.id) not in named]
        kept = {
            key: str(application)
            for key, row in pulled.latest(connection, pull.name, [str(it.ref.id) for it in rest]).items()
            if (application := plain.loads(row.payload).get("application"))
        }
        asked = {(CUSTOMER, str(one.id)) for it in rest if isinstance(one := payer(it.fields), Ref)}
        accounts = {key[1]: one.source_id for key, one in links.by_target(connection, asked).items()}
    only: dict[str, str] = {}
    if accounts:
        fundings = _open_fundings(salesforce, syncs, pull, sorted(set(accounts.values())))
        for it in rest:
            customer, currency = payer(it.fields), _symbol(it.fields.get("currency"))
            account = accounts.get(str(customer.id)) if isinstance(customer, Ref) else None
            own = [one for one, of in fundings.get(account or "", ()) if of == currency]
            if len(own) == 1:
                only[str(it.ref.id)] = own[0]
    # A second funding does not take away what was matched when there was only one.
    return {**only, **kept, **named}


def _unclear(
    connection: Connection, pull: Pull, payments: Sequence[Record], related: Mapping[str, Fields]
) -> list[Record]:
    """Return the payments that have an amount whose documents lead to no Application of ours."""
    found = {str(it.ref.id): [row.get("order") for row in pull.expand(it.fields, related)] for it in payments}
    asked = {(ORDER, str(it.id)) for orders in found.values() for it in orders if isinstance(it, Ref)}
    ours = {key[1] for key in links.by_target(connection, asked)}

    def is_clear(it: Record) -> bool:
        return all(isinstance(order, Ref) and order.id in ours for order in found[str(it.ref.id)])

    return [it for it in payments if not is_clear(it)]


def _requested(connection: Connection, syncs: Syncs, pull: Pull, documents: Sequence[Record]) -> dict[str, str]:
    """Look at what Salesforce asked for: a document that was made of a request belongs to its Application."""
    makers = [push.name for push in syncs.pushes.values() if push.target == pull.source]
    pairs = {(name, str(it.ref.id)) for name in makers for it in documents}
    found: dict[str, str] = {}
    for (_, document), one in links.by_target(connection, pairs).items():
        row = pulled.latest(connection, one.sync, [one.source_id]).get(one.source_id)
        application = plain.loads(row.payload).get("Application__c") if row is not None else None
        if application:
            found[document] = str(application)
    return found


def _named(connection: Connection, syncs: Syncs, payments: Sequence[Record]) -> dict[str, str]:
    """Look at the custom field: it refers to a sales order, or holds an Application's id or an order's number."""
    name = syncs.context.site.get("remittance_field")
    values = {str(it.ref.id): it.fields[name] for it in payments if name and it.fields.get(name)}
    if not values:
        return {}
    by_order = links.by_target(connection, {(ORDER, str(it.id)) for it in values.values() if isinstance(it, Ref)})
    words = {str(it).strip() for it in values.values() if not isinstance(it, Ref)}
    by_id = links.find(connection, {(ORDER, it) for it in words})
    query = select(link.c.number, link.c.source_id).where(link.c.sync == ORDER, link.c.number.in_(words))
    by_number = {row.number: row.source_id for row in connection.execute(query)}
    found: dict[str, str] = {}
    for key, value in values.items():
        word = str(value).strip()
        one = by_order.get((ORDER, str(value.id))) if isinstance(value, Ref) else by_id.get((ORDER, word))
        application = one.source_id if one is not None else by_number.get(word)
        if application is not None:
            found[key] = application
    return found


def _open_fundings(
    salesforce: MirrorSystem, syncs: Syncs, pull: Pull, accounts: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    """Return the Applications of each Account that were funded and are not paid back, with their currency."""
    site = syncs.context.site
    found: dict[str, list[tuple[str, str]]] = {}
    kind = pull.owned.parent_kind if pull.owned else ""
    for it in salesforce.rows_under(kind, "AccountId", accounts, ("AccountId", *FUNDING)):
        row = it.fields
        left = row.get("Remaining_Balance__c")
        if not row.get("Funding_Accepted__c") or row.get("StageName") not in site["approval_stages"]:
            continue
        if left is None or left > 0:
            currency = str(row.get("CurrencyIsoCode") or site.get("currency") or "")
            found.setdefault(str(row["AccountId"]), []).append((str(it.ref.id), currency))
    return found


def _symbol(value: Any) -> str:
    return str((value.name if isinstance(value, Ref) else value) or "")


def match_again(ledger: Ledger, salesforce: MirrorSystem, syncs: Syncs, pull: Pull, correlation: str) -> int:
    """Store again the payments in suspense whose Application is known by now. Raises as Salesforce does."""
    if pull.owned is None or ORDER not in syncs.pushes:
        return 0
    with ledger.read() as connection:
        waiting = {it.payment for it in suspense(connection, pull)}
        # Most customers of an account may be none of ours: strangers must not crowd out what is in suspense.
        rows = pulled.latest(connection, pull.name, sorted(waiting | _strangers(connection, pull)))
    found = {
        key: plain.loads(row.payload) for key, row in rows.items() if key in waiting or row.state == HELD
    }  # fmt: skip
    # One that is worth nothing (a void, say) has no rows: nothing of it can be matched.
    readable = {
        key: it
        for key, it in found.items()
        if "source" in it and next(iter(pull.expand(it["source"], it.get("related", {}))), None) is not None
    }
    if not readable:
        return 0
    payments = [Record(Ref(pull.source, id=key), it["source"]) for key, it in readable.items()]
    related = {doc: fields for it in readable.values() for doc, fields in it.get("related", {}).items()}
    told = applications(ledger, salesforce, syncs, pull, payments, related)
    with ledger.read() as connection:
        unclear = {str(it.ref.id) for it in _unclear(connection, pull, payments, related)}
        customers = {(CUSTOMER, str(getattr(payer(it.fields), "id", ""))) for it in payments}
        known = {key[1] for key in links.by_target(connection, customers)}
    new = []
    for key, payload in readable.items():
        row, application = rows[key], told.get(key)
        is_led = key not in unclear  # an order has got its link
        is_ours = row.state == HELD and getattr(payer(payload["source"]), "id", None) in known
        if is_led or is_ours or (application is not None and application != payload.get("application")):
            stamp = row.modified_at + MOMENT
            whole = {**payload, **({"application": application} if application else {})}
            new.append(
                messages.New(
                    pull.name, pull.source, key, int(stamp.timestamp()), stamp, pull.name, plain.dumps(whole), "match",
                    row.source_hash, write_back=False,
                )
            )  # fmt: skip
    return ledger.commit(lambda writing: len(messages.accept(writing, new, correlation)))


def _strangers(connection: Connection, pull: Pull) -> set[str]:
    """Return the newest payments of customers that nobody in Salesforce had anything to do with."""
    query = select(message.c.source_id).where(
        message.c.state == HELD, message.c.sync == pull.name, message.c.code == "NOT_OURS"
    )
    return set(connection.execute(query.order_by(message.c.id.desc()).limit(MOST)).scalars())
