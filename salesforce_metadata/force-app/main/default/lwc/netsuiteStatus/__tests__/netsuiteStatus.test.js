import { createElement } from "lwc";
import { refreshApex } from "@salesforce/apex";
import NetsuiteStatus from "c/netsuiteStatus";
import getStatus from "@salesforce/apex/BridgeStatusController.getStatus";
import sendAgain from "@salesforce/apex/BridgeStatusController.sendAgain";
import APPLICATION from "./data/application.json";
import NEW_ACCOUNT from "./data/newAccount.json";
import { fixedBySentence, statusSentence } from "../words";

const TOAST = "lightning__showtoast";

jest.mock(
  "@salesforce/apex/BridgeStatusController.getStatus",
  () => {
    const { createApexTestWireAdapter } = require("@salesforce/sfdx-lwc-jest");
    return { default: createApexTestWireAdapter(jest.fn()) };
  },
  { virtual: true }
);
jest.mock(
  "@salesforce/apex/BridgeStatusController.sendAgain",
  () => ({ default: jest.fn() }),
  { virtual: true }
);
jest.mock(
  "@salesforce/apex",
  () => ({ refreshApex: jest.fn(() => Promise.resolve()) }),
  { virtual: true }
);
jest.mock("@salesforce/i18n/currency", () => ({ default: "USD" }), {
  virtual: true
});

function settled() {
  return Promise.resolve()
    .then(() => Promise.resolve())
    .then(() => Promise.resolve());
}

function show(recordId) {
  const element = createElement("c-netsuite-status", { is: NetsuiteStatus });
  element.recordId = recordId;
  document.body.appendChild(element);
  return element;
}

async function shown(answer) {
  const element = show(answer.recordId);
  getStatus.emit(answer);
  await settled();
  return element;
}

function find(element, selector) {
  return element.shadowRoot.querySelector(selector);
}

function findAll(element, selector) {
  return [...element.shadowRoot.querySelectorAll(selector)];
}

describe("the NetSuite status of a record", () => {
  afterEach(() => {
    while (document.body.firstChild) {
      document.body.removeChild(document.body.firstChild);
    }
    jest.clearAllMocks();
  });

  it("says that it is loading until the answer is there", async () => {
    const element = show("006000000000001AAA");
    await settled();

    expect(find(element, "lightning-spinner").alternativeText).toBe(
      "Reading the NetSuite status"
    );
    expect(find(element, ".send").disabled).toBe(true);
    await expect(element).toBeAccessible();
  });

  it("has a badge in a sandbox and none in production", async () => {
    const element = await shown(APPLICATION);
    expect(find(element, ".environment").label).toBe("Sandbox");

    getStatus.emit({ ...APPLICATION, isSandbox: false });
    await settled();

    expect(find(element, ".environment")).toBeNull();
  });

  it("tells the reason when the status cannot be read", async () => {
    const element = show("006000000000001AAA");
    getStatus.error({ message: "You may not see the NetSuite status." });
    await settled();

    expect(find(element, ".load-error").textContent).toBe(
      "You may not see the NetSuite status."
    );
    expect(find(element, "lightning-spinner")).toBeNull();
    await expect(element).toBeAccessible();
  });

  it("shows the plain error and who can fix it", async () => {
    const element = await shown(APPLICATION);

    expect(find(element, ".problem-sentence").textContent).toBe(
      "Fee 'Wire Fee' has no NetSuite item."
    );
    expect(find(element, ".problem-owner").textContent).toBe(
      "Accounting can fix this."
    );
    expect(find(element, ".problem-code").textContent).toBe(
      "Code: ITEM_UNKNOWN"
    );
    expect(find(element, ".status").textContent).toBe(
      "NetSuite does not have the latest values"
    );
  });

  it("shows each order with its lines and its link", async () => {
    const element = await shown(APPLICATION);

    const orders = findAll(element, ".order");
    expect(orders.map((order) => order.querySelector("a").textContent)).toEqual(
      ["Sales Order SO1001", "Purchase Order PO2001"]
    );
    expect(orders[0].querySelector("a").getAttribute("href")).toBe(
      "/lightning/r/a00000000000001AAA/view"
    );
    expect(orders[0].querySelectorAll(".lines tbody tr")).toHaveLength(2);
    expect(orders[0].querySelector("lightning-formatted-url").value).toContain(
      "id=4711"
    );
    expect(orders[1].querySelector(".lines")).toBeNull();
  });

  it("shows fees, commission and totals", async () => {
    const element = await shown(APPLICATION);

    expect(findAll(element, ".fee dt").map((fee) => fee.textContent)).toEqual([
      "Origination Fee",
      "No fee type"
    ]);
    expect(find(element, ".commission-percent").value).toBe(0.04);
    expect(find(element, ".commission-state").textContent).toBe(
      "Accounting has it."
    );
    expect(find(element, ".purchased").value).toBe(68000);
    expect(find(element, ".remaining").value).toBe(66500);
  });

  it("shows an agreed commission rather than its percentage", async () => {
    const element = await shown({
      ...APPLICATION,
      commissions: [{ amount: 900, percent: 4, broker: "Harbor", id: null }]
    });

    expect(find(element, ".commission-amount").value).toBe(900);
    expect(find(element, ".commission-percent")).toBeNull();
    expect(find(element, ".commission-state").textContent).toBe(
      "Not in NetSuite yet."
    );
  });

  it("says of each commission whether it is approved and paid", async () => {
    const element = await shown({
      ...APPLICATION,
      commissions: ["Open", "Approved", "Paid", "Cancelled", "On hold"].map(
        (state, index) => ({ id: `a0${index}`, orderNumber: "C", state })
      )
    });

    expect(
      findAll(element, ".commission-state").map((one) => one.textContent)
    ).toEqual([
      "Open: accounting has not approved it yet.",
      "Approved: accounting is going to pay it.",
      "Paid.",
      "Cancelled: it is no longer owed.",
      "On hold"
    ]);
  });

  it("leads to the commission here and in NetSuite", async () => {
    const element = await shown(APPLICATION);

    const [agreed, former] = findAll(element, ".commission");
    expect(agreed.querySelector("a")).toBeNull();
    expect(former.querySelector("a").getAttribute("href")).toBe(
      "/lightning/r/a00000000000003AAA/view"
    );
    expect(former.querySelector(".commission-link").value).toContain("id=80");
    expect(former.querySelector(".commission-for").textContent).toBe(
      "Former Broker, Oven:"
    );
  });

  it("shows remittances with the running balance and what was reversed", async () => {
    const element = await shown(APPLICATION);

    const rows = findAll(element, ".remittance");
    expect(rows).toHaveLength(2);
    expect(rows[0].querySelector(".running-balance").value).toBe(66500);
    expect(rows[0].textContent).toContain("Reversed: no longer applied here");
    expect(rows[0].textContent).toContain("Not applied yet");
    expect(rows[1].textContent).toContain("INV77");
    expect(rows[1].querySelector(".running-balance")).toBeNull();
    expect(rows[0].querySelector(".remittance-link")).toBeNull();
    expect(rows[1].querySelector(".remittance-link").value).toContain("id=900");
  });

  it("says plainly that there is nothing yet", async () => {
    const element = await shown(NEW_ACCOUNT);

    expect(find(element, ".status").textContent).toBe(
      "Not sent to NetSuite yet"
    );
    expect(
      find(element, ".last-synced").textContent.replace(/\s+/g, " ").trim()
    ).toBe("Last synced:never");
    expect(find(element, ".no-orders").textContent).toBe(
      "No orders in NetSuite yet."
    );
    expect(find(element, ".no-remittances").textContent).toBe(
      "No remittances yet."
    );
    expect(find(element, ".problem")).toBeNull();
    expect(find(element, ".totals")).toBeNull();
  });

  it("is accessible when it is full and when it is empty", async () => {
    await expect(await shown(APPLICATION)).toBeAccessible();
    await expect(await shown(NEW_ACCOUNT)).toBeAccessible();
  });

  it("sends the record again and reads the status anew", async () => {
    sendAgain.mockResolvedValue(undefined);
    const element = await shown(APPLICATION);
    const toasts = [];
    element.addEventListener(TOAST, (event) => toasts.push(event.detail));

    find(element, ".send").click();
    await settled();
    await settled();

    expect(sendAgain).toHaveBeenCalledWith({ recordId: APPLICATION.recordId });
    expect(toasts.map((toast) => toast.variant)).toEqual(["success"]);
    expect(refreshApex).toHaveBeenCalledTimes(1);
    expect(find(element, ".send").disabled).toBe(false);
  });

  it("tells why a record could not be sent again", async () => {
    sendAgain.mockRejectedValue({
      body: { message: "You work as the user of the bridge." }
    });
    const element = await shown(APPLICATION);
    const toasts = [];
    element.addEventListener(TOAST, (event) => toasts.push(event.detail));

    find(element, ".send").click();
    await settled();
    await settled();

    expect(toasts).toEqual([
      expect.objectContaining({
        variant: "error",
        message: "You work as the user of the bridge."
      })
    ]);
  });

  it("shows what is billed, paid, open and overdue, each currency by itself", async () => {
    const element = await shown(APPLICATION);
    const sums = element.shadowRoot.querySelectorAll(".receivable");

    expect(sums).toHaveLength(2);
    expect(find(element, ".billed").value).toBe(500);
    expect(find(element, ".paid").value).toBe(100);
    expect(find(element, ".open").value).toBe(400);
    expect(
      [...sums].map((one) => one.querySelector(".overdue")?.value)
    ).toEqual([400, undefined]);
  });

  it("lists invoices and credits with how long they are overdue", async () => {
    const element = await shown(APPLICATION);
    const told = [...element.shadowRoot.querySelectorAll(".document-status")];

    expect(told.map((one) => one.textContent)).toEqual([
      "Fully Applied",
      "Overdue: 1 day"
    ]);
  });

  it("says that there are no invoices", async () => {
    const element = await shown(NEW_ACCOUNT);

    expect(find(element, ".no-documents").textContent).toContain("No invoices");
  });

  it("reads the status anew on request", async () => {
    const element = await shown(APPLICATION);

    find(element, ".refresh").click();
    await settled();

    expect(refreshApex).toHaveBeenCalledTimes(1);
  });
});

describe("the words of the bridge", () => {
  it("has a sentence for each state and shows an unknown one as it is", () => {
    expect(statusSentence("deferred")).toBe(
      "Not sent yet; the bridge tries again by itself"
    );
    expect(statusSentence("rested")).toBe("rested");
    expect(statusSentence(null)).toBe("Not sent to NetSuite yet");
  });

  it("says who can fix an error", () => {
    expect(fixedBySentence("nobody")).toContain("tries again by itself");
    expect(fixedBySentence("legal")).toBe("Can be fixed by: legal");
    expect(fixedBySentence(null)).toBeUndefined();
  });
});
