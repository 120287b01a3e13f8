/** What people read for the words that the bridge uses. */
const STATUS = {
  waiting: "Waiting to be sent",
  queued: "On its way to NetSuite",
  deferred: "Not sent yet; the bridge tries again by itself",
  delivered: "In NetSuite",
  unchanged: "In NetSuite",
  superseded: "A newer change is on its way",
  held: "Held back until it is approved and accepted",
  rejected: "NetSuite does not have the latest values",
  dead: "Given up; a person must look at it"
};

const PAYABLE = {
  Open: "Open: accounting has not approved it yet.",
  Approved: "Approved: accounting is going to pay it.",
  Paid: "Paid.",
  Cancelled: "Cancelled: it is no longer owed."
};

const FIXED_BY = {
  sales: "Sales can fix this.",
  accounting: "Accounting can fix this.",
  administrator: "An administrator can fix this.",
  nobody: "Nobody has to do anything; the bridge tries again by itself."
};

/** The sentence for a status; a word that is new to this version is shown as it is. */
export function statusSentence(status) {
  return status ? (STATUS[status] ?? status) : "Not sent to NetSuite yet";
}

/** The sentence that says who can act on an error, or undefined. */
export function fixedBySentence(owner) {
  return owner ? (FIXED_BY[owner] ?? `Can be fixed by: ${owner}`) : undefined;
}

/** The sentence for a commission's payable state; before it was read from NetSuite, whether it is there. */
export function payableSentence(state, netsuiteId) {
  if (state) {
    return PAYABLE[state] ?? state;
  }
  return netsuiteId ? "Accounting has it." : "Not in NetSuite yet.";
}
