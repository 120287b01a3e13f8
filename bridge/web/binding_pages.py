"""The SuiteTalk bindings as an administrator looks at them: what is live, for how long, what else there is.

Only looks; bindings are changed on the command line (`bridge wsdl`).

Must not know: SOAP, SQL.
"""

from __future__ import annotations

from flask import Flask, abort, render_template

from bridge.web.desk import Desk


def add(app: Flask, desk: Desk) -> None:
    """Add the route to *app*."""

    @app.get("/bindings")
    def bindings() -> str:
        if desk.bindings is None:
            abort(404)
        return render_template("bindings.html", found=desk.bindings())
