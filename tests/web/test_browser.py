"""The operators' desk in a real browser: what people do there, whether everybody can, and what it looks like.

Needs a Chromium on the machine (``BRIDGE_CHROMIUM`` or on PATH); skipped visibly where there is none. With
``BRIDGE_SCREENSHOTS=1`` the pictures in ``docs/console`` are taken anew.
"""

from __future__ import annotations

import base64
import csv
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge import playground
from bridge.app import run_job
from bridge.ledger import second_factor
from bridge.operators import invitation
from bridge.playground import Playground
from tests.e2e.company import Company
from tests.web.people import PASSWORD, make_account

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FOUND = os.environ.get("BRIDGE_CHROMIUM") or next((it for it in map(shutil.which, NAMES) if it), None)
PICTURES = Path(__file__).parents[2] / "docs" / "console"
SITE = "\n[console]\nsecond_person_above_count = 3\n"

pytestmark = [
    pytest.mark.skipif(FOUND is None, reason="no Chromium on this machine"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """A company with a funding that is being paid back, and five customers that NetSuite refuses."""
    folder = tmp_path_factory.mktemp("browser")
    config = folder / "bridge.toml"
    config.write_text((Path(playground.__file__).parent / "demo.toml").read_text() + SITE)
    made = playground.start(folder / "bridge.sqlite3", config=config)
    company = Company(made)
    broker = company.account("Wayfinder Brokers")
    application, _ = company.application(company.account("Harbor Lane Bakery"), broker=broker)
    company.application(company.account("Quarry Road Tyres"), accepted=False)
    order = company.made("salesOrder", application)
    made.netsuite.admin.approve(kind="salesOrder", id=order.id)
    invoice = made.netsuite.admin.bill(kind="salesOrder", id=order.id).id
    made.netsuite.admin.pay(order.fields["entity"].id, "400.00", {invoice: "400.00"})
    for number in range(1, 6):
        company.account(f"Corner Shop {number} !REJECT USER_ERROR")
    company.application(company.account("Elm Street Cafe"), broker=broker, Commission_Percent__c=None)
    company.pull("orders", lambda: len(made.salesforce.rows("NetSuite_Order__c")) >= 2)
    company.pull("remittances", lambda: len(made.salesforce.rows("Remittance__c")) >= 1)
    run_job(made.bridge, "tally")
    for name, role in (("anna", "administrator"), ("ben", "accountant"), ("vera", "viewer")):
        make_account(made.bridge.ledger, name, role)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as it:
        browser = it.chromium.launch(executable_path=FOUND, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def people(house: Playground, chromium: Any) -> Iterator[Callable[..., Any]]:
    """Return a page on which somebody has signed in."""
    contexts = []

    def page(name: str, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": 1280, "height": 860}, base_url=house.console.url, **options)
        contexts.append(context)
        one = context.new_page()
        one.set_default_timeout(10_000)
        one.faults = []
        one.on("pageerror", lambda error: one.faults.append(str(error)))
        one.on("console", lambda said: one.faults.append(said.text) if said.type == "error" else None)
        one.goto("/")
        one.get_by_label("Name").fill(name)
        one.get_by_label("Password").fill(PASSWORD)
        one.get_by_role("button", name="Sign in").click()
        one.wait_for_url(f"{house.console.url}/")
        return one

    yield page
    for context in contexts:
        for one in context.pages:
            assert getattr(one, "faults", []) == []
        context.close()


def choose(page: Any, *, most: int | None = None) -> int:
    """Mark the customers that NetSuite refuses and return how many."""
    page.goto("/messages?state=needs+a+person&code=USER_ERROR")
    boxes = page.locator('input[name="message"]')
    count = min(boxes.count(), most or 100)
    for place in range(count):
        boxes.nth(place).check()
    return count


def until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        threading.Event().wait(0.05)
    pytest.fail("it did not happen")


def test_the_first_sign_in_leads_to_the_overview(people: Callable[..., Any]) -> None:
    page = people("vera")

    assert page.get_by_text("Running.").is_visible()
    assert page.get_by_role("link", name="needs a person").is_visible()
    assert page.get_by_text("oldest unsynced money").is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("heading", name="Sign in").is_visible()


def test_an_error_is_corrected_here_and_goes(house: Playground, people: Callable[..., Any]) -> None:
    page = people("anna")
    page.get_by_role("link", name="needs a person").click()
    page.locator("main table a").filter(has_not_text="ommission").first.click()
    page.locator("tbody a").first.click()

    page.get_by_label("Value").select_option("Name")
    page.get_by_label("Becomes").fill("Corner Shop Corrected")
    page.get_by_role("button", name="Show the difference").click()

    assert page.locator("del").first.inner_text().startswith("Corner Shop")
    assert page.get_by_role("row", name="companyName").locator("ins").inner_text() == "Corner Shop Corrected"
    page.get_by_role("button", name="Confirm").click()
    assert page.get_by_text("1 of 1 corrected and on their way.").is_visible()
    names = house.netsuite.store.records["customer"].values()
    until(lambda: any(it.fields.get("companyName") == "Corner Shop Corrected" for it in names))


def test_many_are_sent_again_after_a_preview(people: Callable[..., Any]) -> None:
    page = people("ben")
    count = choose(page, most=2)

    page.locator('select[name="action"]').select_option("retry")
    page.get_by_role("button", name="Preview").click()

    assert page.locator(".tiles b").first.inner_text() == str(count)
    page.get_by_role("button", name="Confirm").click()
    assert page.get_by_text(f"{count} of {count} on their way again.").is_visible()


def test_above_the_limit_another_person_must_approve(people: Callable[..., Any]) -> None:
    asking, approving = people("anna"), people("ben")
    until(lambda: choose(asking) >= 4)
    asking.locator('select[name="action"]').select_option("dismiss")
    asking.get_by_label("Reason").fill("shops that closed")
    asking.get_by_role("button", name="Preview").click()
    asking.get_by_role("button", name="Ask for approval").click()
    assert asking.get_by_text("A second person must approve this").is_visible()
    assert asking.get_by_role("button", name="Approve").count() == 0

    approving.goto("/approvals")
    approving.locator("main table a").first.click()
    approving.get_by_role("button", name="Approve").click()

    assert approving.get_by_text("4 of 4 dismissed.").is_visible()


def test_a_dismissed_message_is_sent_again(people: Callable[..., Any]) -> None:
    page = people("ben")
    page.goto("/messages?state=done&sync=customer")
    page.locator("tbody a").first.click()

    page.get_by_role("button", name="Send again as stored").click()
    page.get_by_role("button", name="Confirm").click()

    assert page.get_by_text("1 of 1 on their way again.").is_visible()


def test_a_cadence_is_changed_and_holds_without_a_restart(house: Playground, people: Callable[..., Any]) -> None:
    page = people("anna")
    page.get_by_role("link", name="Schedules").click()
    row = page.get_by_role("row", name="orders")
    row.get_by_label("Change the cadence of orders").click()
    row.get_by_label("Minutes or expression").fill("15")
    row.get_by_role("button", name="Change orders").click()

    assert page.get_by_text("orders has its new cadence now.").is_visible()
    assert {it.name: it.cadence for it in house.schedule.rows()}["orders"] == "every 15 minutes"
    row = page.get_by_role("row", name="orders")
    row.get_by_label("Change the cadence of orders").click()
    row.get_by_label("Minutes or expression").fill("soon")
    row.get_by_role("button", name="Change orders").click()
    assert page.get_by_role("alert").is_visible()


def test_what_is_shown_is_exported(people: Callable[..., Any], tmp_path: Path) -> None:
    page = people("anna")
    page.goto("/messages?sync=sales_order")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Export as CSV").click()
    waiting.value.save_as(tmp_path / "messages.csv")

    rows = list(csv.DictReader((tmp_path / "messages.csv").open()))

    assert rows
    assert {it["sync"] for it in rows} == {"sales_order"}


def test_a_viewer_is_offered_nothing_to_change(people: Callable[..., Any]) -> None:
    page = people("vera")
    for path in ("/messages", "/schedules", "/messages/1"):
        page.goto(path)
        assert page.locator('main form[method="post"]').count() == 0 or path == "/messages"
        assert page.get_by_role("button", name="Preview").count() == 0


PATHS = {
    "overview": "/",
    "figures": "/figures",
    "errors": "/errors",
    "messages": "/messages",
    "message": "/messages/1",
    "applications": "/applications",
    "application": "/applications/{application}",
    "approvals": "/approvals",
    "schedules": "/schedules",
    "mappings": "/mappings",
    "bindings": "/bindings",
    "audit": "/audit",
    "plan": "/plans/1",
    "not found": "/plans/999999",
    "catalogue": "/mappings",
    "sign in again": "/sign-in?again=1",
}
PICTURED = {*PATHS} - {"bindings", "plan", "not found", "catalogue", "sign in again"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_every_page(house: Playground, people: Callable[..., Any], scheme: str) -> None:
    page = people("anna", color_scheme=scheme)
    application = _applications(house)[0]
    wrong = []
    for name, path in PATHS.items():
        page.goto(path.format(application=application))
        if name == "catalogue":
            page.get_by_role("button", name="Compare the catalogues").click()
        # Whatever is not a colour is the same in the dark.
        wrong += violations(page, name, **({"runOnly": ["color-contrast"]} if scheme == "dark" else {}))
        if os.environ.get("BRIDGE_SCREENSHOTS") and name in PICTURED and (scheme == "light" or name == "overview"):
            PICTURES.mkdir(exist_ok=True)
            page.screenshot(path=PICTURES / f"{name}{'-dark' if scheme == 'dark' else ''}.png")
    page.faults = [it for it in page.faults if "404" not in it]  # the page that there is not

    assert wrong == []


def violations(page: Any, name: str, **options: Any) -> list[tuple[str, str, str]]:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"resultTypes": ["violations"], **options}).response["violations"]
    return [(name, it["id"], it["nodes"][0]["html"][:120]) for it in found]


def tab_to(page: Any, words: str) -> None:
    """Go on with the Tab key to what bears *words*; wherever the focus is on the way, it can be seen."""
    for _ in range(120):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const it = document.activeElement, style = getComputedStyle(it);
            if (it === document.body) return ["", true];
            return [(it.getAttribute("aria-label") || it.innerText || it.name || "").trim(),
                    style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0] }"""
        )
        assert outline, f"the focus on {name!r} cannot be seen"
        if words in name:
            return
    pytest.fail(f"the Tab key does not lead to {words!r}")


def test_an_error_is_sent_again_and_one_dismissed_with_the_keyboard_alone(people: Callable[..., Any]) -> None:
    page = people("ben")
    tab_to(page, "Errors")
    page.keyboard.press("Enter")
    page.wait_for_url("**/errors")
    tab_to(page, "ommission")  # the sentence of a cause
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages?*")
    tab_to(page, "Messages found")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator('input[name="message"]:checked').count() == 1
    tab_to(page, "Preview")
    page.keyboard.press("Enter")
    page.wait_for_url("**/plans/*")
    tab_to(page, "Confirm")
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 on their way again.").wait_for()

    until(lambda: page.goto("/messages?state=needs+a+person") is not None and page.locator("tbody a").count() > 0)
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/messages/*")
    tab_to(page, "reason")
    page.keyboard.type("not ours")
    tab_to(page, "Dismiss")
    page.keyboard.press("Enter")
    page.wait_for_url("**/plans/*")
    tab_to(page, "Confirm")
    page.keyboard.press("Enter")
    page.get_by_text("1 of 1 dismissed.").wait_for()


def test_the_first_account_is_made_and_its_app_set_up(tmp_path: Path, chromium: Any) -> None:
    """From the word that the start printed to the overview; and everybody can read the pages between."""
    made = playground.start(
        tmp_path / "bridge.sqlite3", settings={"environment": "test", "audit_key": SecretStr("key")}
    )
    context = chromium.new_context(base_url=made.console.url)
    page = context.new_page()
    page.set_default_timeout(10_000)
    try:
        word = (invitation(made.bridge) or "").split()[-1]
        page.goto("/")
        wrong = violations(page, "first account")
        for label, text in (("Word of the start", word), ("Name", "anna"), ("Once more", PASSWORD)):
            page.get_by_label(label).fill(text)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        page.get_by_text("anna is made. Sign in.").wait_for()

        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        typed = page.locator("main code").inner_text().replace(" ", "")
        wrong += violations(page, "second factor")
        secret = base64.b32decode(typed)
        page.get_by_label("Code").fill("000000")
        page.keyboard.press("Enter")
        page.get_by_role("alert").wait_for()
        page.get_by_label("Code").fill(second_factor.code_at(secret, datetime.now(UTC)))
        page.keyboard.press("Enter")
        page.get_by_text("Running.").wait_for()

        assert wrong == []
    finally:
        context.close()
        made.stop()


def _applications(house: Playground) -> list[str]:
    return [str(it.external_id)[-18:] for it in house.netsuite.store.records["salesOrder"].values()]
