"""Account → vendor, once it must be paid: as the business of a purchase order, or as the broker of a commission.

Names are unique across customers and vendors in NetSuite, so the vendor's carries a word of its own.
"""

from bridge.mapping import Push, currency, is_not_blank, site, text

VENDOR = Push(
    name="vendor",
    label="Vendor",
    source="Account",
    target="vendor",
    external_id="ven",
    when=[is_not_blank("Name")],
    retiring={"isInactive": True},
    on_demand=True,
    fields={
        "companyName": text("{Name} (Vendor)", limit=83, required=True),
        "subsidiary": site("subsidiary", ref="subsidiary"),
        "currency": currency(),
        "phone": text("Phone", limit=32, cut=True),
        "taxItem": site("vendor_tax_code", ref="taxCode"),
    },
)
