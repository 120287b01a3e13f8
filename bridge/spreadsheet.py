"""Cells of a CSV file that people open in a spreadsheet: text stays text.

Source: OWASP, "CSV Injection": a cell that begins with one of these signs is a formula to a spreadsheet.
"""

from __future__ import annotations

from typing import Any

# The last four are the same signs as East Asian keyboards write them.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any) -> Any:
    """Return *value* as a spreadsheet must take it: a text is never a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
