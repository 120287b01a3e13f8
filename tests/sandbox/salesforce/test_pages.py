"""Pages for people: what they show, and that saving there is saving."""

from __future__ import annotations

import pytest

from bridge.sandbox.seed_salesforce import APPLICATIONS, MERCHANTS, seed

HOST = "https://sandbox-org.my.salesforce.com"


@pytest.fixture
def browser(client):
    """A browser without a token."""

    def go(path, form=None, **headers):
        method = "GET" if form is None else "POST"
        headers |= {"Authorization": None}
        return client.session.request(method, HOST + path, data=form, headers=headers, timeout=5)

    return go


def test_the_overview_and_lists_call_an_opportunity_an_application(browser, fake):
    seed(fake)

    overview, applications = browser("/").text, browser("/objects/Opportunity").text

    assert ">Applications</a>" in overview
    assert "<h1>Applications</h1>" in applications
    assert "Opportunit" not in overview.replace("/objects/Opportunity", "")
    assert "Larkspur press" in applications


def test_a_record_page_shows_its_state_error_and_related_lists(browser, fake, listener):
    listener.reply = lambda body: (
        200,
        {
            "results": [
                {"id": one["Id"], "state": "rejected", "error": {"message": "No <item>.", "code": "X", "who": "sales"}}
                for one in body["records"]
            ]
        },
    )
    made = seed(fake)

    text = browser(f"/{made.applications[4]}").text

    assert "NetSuite: <strong>rejected</strong>" in text
    assert "No &lt;item&gt;. Who can fix it: sales." in text
    assert "Fee Lines" in text
    assert "Origination Fee" in text


def test_an_account_saved_on_the_page_reaches_the_bridge(browser, fake, listener):
    response = browser("/objects/Account/new", {"Name": "<b>Harbor</b>", "Taxable__c": "true", "Phone": ""})

    [row] = fake.rows("Account")
    assert response.url.endswith(row["Id"])
    assert "&lt;b&gt;Harbor&lt;/b&gt;" in response.text
    assert "<b>Harbor" not in response.text
    assert listener.bodies[0]["records"][0]["Taxable__c"] is True


def test_approving_accepting_and_a_fee_line_are_buttons(browser, fake):
    account = fake.insert("Account", Name="Harbor")
    record_id = fake.insert("Opportunity", Name="H", StageName="New", CloseDate="2026-12-01", AccountId=account)

    browser(f"/{record_id}/approve", {})
    browser(f"/{record_id}/accept", {})
    browser(f"/{record_id}/fee", {"fee": "Wire Fee", "price": "25"})

    row = fake.row(record_id)
    assert (row["StageName"], row["Funding_Accepted__c"], row["Amount"]) == ("Approved", True, 25)


def test_a_refused_save_says_why_and_saves_nothing(browser, fake):
    account = fake.insert("Account", Name="Harbor")

    response = browser(f"/{account}", {"Name": ""})

    assert response.status_code == 400
    assert "Required fields are missing: [Name]" in response.text
    assert fake.row(account)["Name"] == "Harbor"


def test_saving_the_form_unchanged_changes_nothing(browser, fake):
    account = fake.insert("Account", Name="Harbor", AnnualRevenue=5)
    version = fake.row(account)["Bridge_Version__c"]

    browser(f"/{account}", {"Name": "Harbor", "AnnualRevenue": "5", "Taxable__c": "false"})

    assert fake.row(account)["Bridge_Version__c"] == version


def test_a_form_from_another_site_is_refused(browser, fake):
    account = fake.insert("Account", Name="Harbor")

    response = browser(f"/{account}", {"Name": "x"}, Origin="https://elsewhere.example")

    assert response.status_code == 403
    assert fake.row(account)["Name"] == "Harbor"


def test_a_link_is_made_of_web_addresses_only(browser, fake):
    account = fake.insert("Account", Name="Harbor", user=fake.integration_user, Website="javascript:alert(1)")
    fake.update(account, user=fake.integration_user, NetSuite_Status__c="x", NetSuite_Url__c="javascript:alert(2)")

    assert 'href="javascript' not in browser(f"/{account}").text


def test_an_unknown_page_is_not_found(browser):
    assert browser("/objects/Nonsense").status_code == 404
    assert browser("/0015e0000099999AAA").status_code == 404


def test_the_sample_company_has_every_stage_and_reaches_the_bridge(fake, listener):
    made = seed(fake)

    stages = {fake.row(one)["StageName"] for one in made.applications}
    assert stages == {"New", "Under Review", "Underwriting", "Approved", "Funded", "Declined"}
    assert (len(made.accounts), len(made.applications)) == (len(MERCHANTS), len(APPLICATIONS))
    assert fake.row(made.accounts[4])["Approved_Applications__c"] == 1
    assert {path.rpartition("/")[2] for path in listener.paths} == {"Account", "Contact", "Application"}
