"""Contact → contact of the Account's customer."""

from bridge.mapping import Push, compute, is_not_blank, link, site, text
from bridge.ports import Fields


def entity_name(source: Fields, site: Fields) -> str:
    """Return a name no namesake can take: NetSuite refuses two contacts of one name (CONTACT_ALREADY_EXISTS)."""
    names = " ".join(part for part in (source.get("FirstName"), source.get("LastName")) if part)
    return f"{names[:60]} ({str(source['Id'])[-6:]})"


CONTACT = Push(
    name="contact",
    label="Contact",
    source="Contact",
    target="contact",
    external_id="con",
    when=[is_not_blank("LastName")],
    fields={
        "entityId": compute(
            entity_name, ("Id", "FirstName", "LastName"), "first and last name, with the end of the id"
        ),
        "firstName": text("FirstName", limit=32, cut=True),
        "lastName": text("LastName", limit=32, cut=True, required=True),
        "title": text("Title", limit=99, cut=True),
        "email": text("Email", limit=254),
        "phone": text("Phone", limit=32, cut=True),
        "mobilePhone": text("MobilePhone", limit=32, cut=True),
        "company": link("AccountId", to="customer"),
        "subsidiary": site("subsidiary", ref="subsidiary"),
    },
)
