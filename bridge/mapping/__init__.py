"""A mapping is a table: target field ← rule(source field). Every rule is a frozen value.

`Push` and `Pull` declare a sync; the rules are `text money number date instant flag choice link linked lines const
site currency crosswalk compute when applied`; a gate is a `Test`. Because rules are data, the bridge can list what they
read, print the table, explain a held record and check names and types before anything is sent.

Must not know: any system, SQL, HTTP, time.
"""

from bridge.mapping.base import ABSENT, LINE_ID, LINE_LISTS, PACIFIC, Context, Rule, decimal, external_id, label
from bridge.mapping.choices import ROW, applied, compute, const, crosswalk, currency, lines, site, when
from bridge.mapping.fields import choice, date, flag, instant, link, linked, money, number, text
from bridge.mapping.gates import Test, is_in, is_not_blank, is_positive, is_true
from bridge.mapping.known import named
from bridge.mapping.syncs import Belongs, Child, Follow, Pull, Push, Sync, Syncs, Totals, with_fields, with_lines_closed
from bridge.mapping.worth import Worth, of_field, of_lines, safely

__all__ = [
    "ABSENT",
    "LINE_ID",
    "LINE_LISTS",
    "PACIFIC",
    "ROW",
    "Belongs",
    "Child",
    "Context",
    "Follow",
    "Pull",
    "Push",
    "Rule",
    "Sync",
    "Syncs",
    "Test",
    "Totals",
    "Worth",
    "applied",
    "choice",
    "compute",
    "const",
    "crosswalk",
    "currency",
    "date",
    "decimal",
    "external_id",
    "flag",
    "instant",
    "is_in",
    "is_not_blank",
    "is_positive",
    "is_true",
    "label",
    "lines",
    "link",
    "linked",
    "money",
    "named",
    "number",
    "of_field",
    "of_lines",
    "safely",
    "site",
    "text",
    "when",
    "with_fields",
    "with_lines_closed",
]
