"""The same pull as a script does it: netsuitesdk reads, simple-salesforce writes by its bulk interface. No ledger."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from peers import sdk
from pull_once import used_s
from simple_salesforce.api import Salesforce

SYMBOLS = {"US Dollar": "USD"}


def connected() -> Salesforce:
    import requests

    url = os.environ["BRIDGE_SALESFORCE_URL"]
    words = {"grant_type": "client_credentials", "client_id": "sandbox-consumer-key",
             "client_secret": "sandbox-consumer-secret"}  # fmt: skip
    token = requests.post(f"{url}/services/oauth2/token", data=words, timeout=30).json()["access_token"]
    salesforce = Salesforce(session_id=token, instance_url=url, version="65.0")
    salesforce.base_url = f"{url}/services/data/v65.0/"
    salesforce.bulk2_url = f"{url}/services/data/v65.0/jobs/"
    return salesforce


def utc(moment: Any) -> str:
    return str(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"))


def orders(client: Any) -> Any:
    client.set_search_preferences(page_size=1000, search_body_fields_only=False)
    basic = client.basic_search_factory("Transaction", type=client.SearchEnumMultiSelectField(
        operator="anyOf", searchValue=["_salesOrder"]))  # fmt: skip
    search = client.search_factory("Transaction", basic=basic)
    return client.search(searchRecord=search).records


def main(customers: dict[str, str]) -> None:
    connect = sdk(os.environ["BRIDGE_NETSUITE_URL"])
    assert connect is not None
    client, salesforce = connect().client, connected()
    accounts = {customer: account for account, customer in customers.items()}
    cpu, wall = used_s(), time.perf_counter()
    rows, lines = [], []
    for it in orders(client):
        account = accounts.get(it.entity.internalId)
        if account is None:
            continue
        key = f"salesOrder-{it.internalId}"
        rows.append(
            {"NetSuite_Key__c": key, "Name": it.tranId, "Record_Type__c": "Sales Order",
             "NetSuite_Id__c": it.internalId, "Status__c": it.status, "Total__c": it.total,
             "Currency__c": SYMBOLS[it.currency.name], "Order_Date__c": it.tranDate.date().isoformat(),
             "Account__c": account,
             "Memo__c": it.memo or "", "NetSuite_Modified_At__c": utc(it.lastModifiedDate)}
        )  # fmt: skip
        lines += [
            {"NetSuite_Key__c": f"{key}-{line.line}", "Order__r.NetSuite_Key__c": key, "Line__c": line.line,
             "Item__c": line.item.name, "Description__c": line.description or "", "Quantity__c": line.quantity,
             "Rate__c": line.rate, "Amount__c": line.amount}
            for line in it.itemList.item
        ]  # fmt: skip
    for kind, own in (("NetSuite_Order__c", rows), ("NetSuite_Order_Line__c", lines)):
        for job in getattr(salesforce.bulk2, kind).upsert(records=own, external_id_field="NetSuite_Key__c", wait=0.05):
            if job["numberRecordsFailed"]:
                failed = getattr(salesforce.bulk2, kind).get_failed_records(job["job_id"])
                raise RuntimeError(failed[:500])
    print(json.dumps({"read": len(rows), "cpu_s": used_s() - cpu, "wall_s": time.perf_counter() - wall}))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
