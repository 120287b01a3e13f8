"""The choices of a site (``bridge.toml``): which subsidiary, what a fee is in NetSuite, what runs when.

`read` gives a `Site`, and all that is wrong with the file as plain sentences. The file is in git: no secret is in it.

Must not know: what a sync or a job is called; who uses a choice checks that.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

CRON: Final = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")  # cron's 0 and 7 are both Sunday

# How a value looks that must follow a pattern, for whoever wrote another one.
EXAMPLES: Final[Mapping[int | str, str]] = {"currency": '"USD"', "working_hours": '"09:00-17:00"'}


class Choices(BaseModel):
    """A table of the file. An unknown word in it is a mistake, not a comment."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _cron(expression: str) -> str:
    """Return *expression* as it is, if it is five fields of numbers, ranges, lists and steps (UTC)."""
    fields = expression.lower().split()
    if len(fields) != len(CRON):
        raise ValueError("a cron expression has five fields: minute hour day month weekday")
    for text, (name, low, high) in zip(fields, CRON, strict=True):
        for part in text.split(","):
            found = re.fullmatch(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([1-9]\d?))?", part, re.ASCII)
            if found is None:
                raise ValueError(f"the {name} {text!r} is not cron")
            numbers = [
                WEEKDAYS.index(word) if name == "weekday" and word in WEEKDAYS else int(word) if word.isdigit() else -1
                for word in found.groups()[:2]
                if word is not None
            ]
            if any(not low <= number <= high for number in numbers) or numbers != sorted(numbers):
                raise ValueError(f"the {name} {text!r} is not within {low} to {high}")
    return " ".join(fields)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone") from error
    return name


def _template(text: str) -> str:
    if "{Name}" not in text:
        raise ValueError("it must contain {Name}, the Account's name")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200)]


class SiteTable(Choices):
    """``[site]``: what holds for every record."""

    subsidiary: Name | None = None  # needed in a NetSuite OneWorld account, refused by any other
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    rate_of: Literal["posting", "deal"] = "posting"  # the day whose rate converts a payment in another currency
    timezone: Annotated[Name, AfterValidator(_zone)] = "America/Los_Angeles"
    customer_stage: Literal["_lead", "_prospect", "_customer"] = "_prospect"
    deleted_account: Literal["inactivate", "tell"] = "inactivate"  # what becomes of its customer and its vendor
    vendor_name: Annotated[Name, AfterValidator(_template)] = "{Name} (Vendor)"


class NetSuiteTable(Choices):
    """``[netsuite]``: how a broker's commission is kept there, and what a closed period does."""

    commission: Literal["custom_record", "vendor_bill"] = "custom_record"
    commission_account: Name = "Commission Expense"
    closed_period: Literal["hold", "next_open"] = "hold"  # what becomes of a transaction whose period is closed
    remittance_field: Name | None = None  # a custom body field that names the Application of a payment or document


class Taxed(Choices):
    """What is said of tax beside an item; what is left out is not sent."""

    taxable: bool | None = None  # on the sales order
    sale_tax_code: Name | None = None
    purchase_tax_code: Name | None = None


class Fee(Taxed):
    """``[fees."Wire Fee"]``: what a fee type is in NetSuite. On the purchase order a withheld fee is negative."""

    sale_item: Name | None = None
    purchase_item: Name | None = None
    purchase_sign: Literal[-1, 1] = -1

    @model_validator(mode="after")
    def _has_an_item(self) -> Fee:
        if self.sale_item is None and self.purchase_item is None:
            raise ValueError("it needs a sale_item, a purchase_item or both")
        return self


class Tax(Choices):
    """``[tax]``: tax codes, for accounts that want one on every line. What is left out is not sent."""

    sale_code: Name | None = None  # of a fee on the sales order, and of a credit
    purchase_code: Name | None = None  # of a line of the purchase order
    commission_code: Name | None = None  # of a commission that is a vendor bill
    vendor_code: Name | None = None  # which a vendor has by default


class Credits(Choices):
    """``[credits]``: what a credit request becomes: the item on the credit memo, the bank account of a refund."""

    item: Name | None = None
    refund_account: Name | None = None


class Part(Taxed):
    """One component of a bundle: its items as a fee has them, and its share of the bundle's price."""

    sale_item: Name | None = None
    purchase_item: Name | None = None
    purchase_sign: Literal[-1, 1] = -1
    share: Annotated[Decimal, Field(gt=0)] = Decimal(1)
    description: Name | None = None


class Bundle(Choices):
    """``[bundles."Starter"]``: what a line of that fee type or product code is sold as, part by part."""

    parts: Annotated[tuple[Part, ...], Field(min_length=1)]


class Purchase(Choices):
    """``[purchase]``: the item for the funded amount on the purchase order."""

    item: Name = "Purchase of Receivables"


class Approval(Choices):
    """``[approval]``: the stages in which an Application may be funded."""

    stages: Annotated[tuple[Name, ...], Field(min_length=1)] = ("Approved", "Funded")


class Quotes(Choices):
    """``[quotes]``: the stages in which an Application is a quote in NetSuite; none where there are no quotes."""

    stages: tuple[Name, ...] = ()


class Cadence(Choices):
    """``[schedule.jobs.<name>]``: when a job runs. What is left out stays as the profile has it."""

    cron: Annotated[str, AfterValidator(_cron)] | None = None
    every_minutes: Annotated[int, Field(ge=1, le=10_080)] | None = None
    every_seconds: Annotated[int, Field(ge=1, le=59)] | None = None  # for demonstrations
    enabled: bool = True

    @model_validator(mode="after")
    def _is_one_of_them(self) -> Cadence:
        if sum(it is not None for it in (self.cron, self.every_minutes, self.every_seconds)) > 1:
            raise ValueError("it has two cadences; choose cron or every_minutes")
        return self


class Schedule(Choices):
    """``[schedule]``: one of the shipped profiles, and what differs from it."""

    profile: Literal["default", "quarter-hourly"] = "default"
    jobs: dict[str, Cadence] = Field(default_factory=dict)


def _hours(text: str) -> str:
    start, _, end = text.partition("-")
    if time.fromisoformat(start) >= time.fromisoformat(end):
        raise ValueError("the working hours end before they begin")
    return text


class Alerts(Choices):
    """``[alerts]``: from when on an administrator is told. 0 minutes of silence is never."""

    lag_minutes: Annotated[int, Field(ge=1)] = 30
    silence_minutes: Annotated[int, Field(ge=0)] = 240
    working_hours: Annotated[str, Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$"), AfterValidator(_hours)] = "09:00-17:00"
    skew_seconds: Annotated[int, Field(ge=5)] = 60
    late_records: Annotated[int, Field(ge=0)] = 10  # a day
    refused_callouts: Annotated[int, Field(ge=0)] = 20  # in ten minutes; 0 is never


class Retention(Choices):
    """``[retention]``: how long personal data, and messages whose work is done, are kept; 0 keeps them."""

    contact_days: Annotated[int, Field(ge=0)] = 90
    message_days: Annotated[int, Field(ge=0)] = 400


Role = Literal["viewer", "operator", "accountant", "administrator", "auditor"]


class Console(Choices):
    """``[console]``: who may do what there, and from which size on a second person must agree."""

    people: dict[str, Role] = Field(default_factory=dict)  # by e-mail address or user name at the provider
    claim: Name = "groups"
    groups: dict[str, Role] = Field(default_factory=dict)  # by the values of that claim
    provider_asks_again: bool = False  # asks for the password when told to, though its tokens do not say so
    second_person_above_count: Annotated[int, Field(ge=1)] | None = 200
    second_person_above_sum: Annotated[Decimal, Field(gt=0)] | None = None


class FieldOverlay(Choices):
    """``[sync.<name>.fields.<target>]``: one rule, by exactly one of the first words."""

    text: Name | None = None
    money: Name | None = None
    number: Name | None = None
    flag: Name | None = None
    date: Name | None = None
    instant: Name | None = None
    choice: Name | None = None
    const: str | bool | Decimal | None = None
    remove: Literal[True] | None = None

    table: dict[str, str] | None = None  # of a choice
    ref: Name | None = None  # what a choice or a const refers to by name, for example "term"
    owner: Literal["salesforce", "netsuite", "shared"] = "salesforce"  # whose it is once the record exists
    limit: Annotated[int, Field(ge=1)] | None = None  # of a text, in characters
    cut: bool = False  # a longer text is cut, not refused
    required: bool = False

    @property
    def rule(self) -> str:
        """Return the word that says which rule it is."""
        return next(word for word in RULES if getattr(self, word) is not None)

    @model_validator(mode="after")
    def _is_one_rule(self) -> FieldOverlay:
        if sum(getattr(self, word) is not None for word in RULES) != 1:
            raise ValueError(f"it needs exactly one of {', '.join(RULES)}")
        if (self.table is not None) != (self.choice is not None):
            raise ValueError("a choice needs a table, and only a choice has one")
        if self.limit is not None and self.text is None:
            raise ValueError("only a text has a limit")
        return self


RULES: Final = ("text", "money", "number", "flag", "date", "instant", "choice", "const", "remove")


class Gate(Choices):
    """``[[sync.<name>.gates]]``, ``[[sync.<name>.scope]]``: one more condition before a record is sent."""

    field: Name
    operator: Literal[
        "is not blank",
        "is blank",
        "is true",
        "is not true",
        "is in",
        "is not in",
        "is positive",
        "is at most",
        "is at least",
    ]
    values: tuple[str, ...] = ()
    limit: Decimal | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Gate:
        if bool(self.values) != (self.operator in ("is in", "is not in")):
            raise ValueError("'is in' and 'is not in' need values, and nothing else has them")
        if (self.limit is not None) != (self.operator in ("is at most", "is at least")):
            raise ValueError("'is at most' and 'is at least' need a limit, and nothing else has one")
        return self

    @property
    def value(self) -> tuple[str, ...] | Decimal | None:
        """Return what the field is compared with."""
        return self.limit if self.limit is not None else self.values or None


class SyncOverlay(Choices):
    """``[sync.<name>]``: what this site does differently in one sync."""

    enabled: bool = True
    withdrawn: Literal["flag", "block", "close"] | None = None  # when a gate closes after the record exists
    fields: dict[str, FieldOverlay] = Field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    scope: tuple[Gate, ...] = ()  # which records are this sync's business at all


class Site(Choices):
    """All of ``bridge.toml``."""

    site: SiteTable = SiteTable()
    netsuite: NetSuiteTable = NetSuiteTable()
    fees: dict[str, Fee] = Field(default_factory=dict)
    products: dict[str, Fee] = Field(default_factory=dict)
    bundles: dict[str, Bundle] = Field(default_factory=dict)
    purchase: Purchase = Purchase()
    tax: Tax = Tax()
    credits: Credits = Credits()
    approval: Approval = Approval()
    quotes: Quotes = Quotes()
    schedule: Schedule = Schedule()
    alerts: Alerts = Alerts()
    retention: Retention = Retention()
    console: Console = Console()
    sync: dict[str, SyncOverlay] = Field(default_factory=dict)


def read(path: Path) -> tuple[Site, list[str]]:
    """Return the site's choices and all that is wrong with them; the defaults where the file cannot be used."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        return Site(), [f"{path}: the file does not exist."]
    except OSError as error:
        return Site(), [f"{path}: the file cannot be read ({error.strerror})."]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Site(), [f"{path}: this is not TOML: {error}."]
    return parse(tables, path.name)


def parse(tables: Mapping[str, Any], where: str = "bridge.toml") -> tuple[Site, list[str]]:
    """Return the same from tables that are read already."""
    try:
        return Site.model_validate(tables), []
    except ValidationError as error:
        return Site(), [sentence(where, problem) for problem in error.errors()]


def sentence(where: str, problem: ErrorDetails) -> str:
    """Say in one plain sentence what is wrong with which word; never repeat the value, it may be a secret."""
    at = _path(problem["loc"])
    match problem["type"]:
        case "extra_forbidden":
            return f"{where}: {at} is not a setting."
        case "missing":
            return f"{where}: {at} is missing."
        case "value_error":
            return f"{where}: {at}: {problem['ctx']['error']}."
        case "string_pattern_mismatch":
            return f"{where}: {at} does not have the right form; it should look like {EXAMPLES[problem['loc'][-1]]}."
    return f"{where}: {at}: {problem['msg'][0].lower()}{problem['msg'][1:]}."


def _path(location: Iterable[int | str]) -> str:
    """Write a path as TOML does: ``fees."Wire Fee".sale_item``, ``sync.customer.gates[0]``."""
    parts: list[str] = []
    for part in location:
        if isinstance(part, int):
            parts[-1:] = [f"{parts[-1] if parts else ''}[{part}]"]
        else:
            parts.append(part if re.fullmatch(r"[\w-]+", part, re.ASCII) else f'"{part}"')
    return ".".join(parts)
