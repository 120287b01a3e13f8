import { LightningElement, api, wire } from "lwc";
import { refreshApex } from "@salesforce/apex";
import { ShowToastEvent } from "lightning/platformShowToastEvent";
import { notifyRecordUpdateAvailable } from "lightning/uiRecordApi";
import CURRENCY from "@salesforce/i18n/currency";
import getStatus from "@salesforce/apex/BridgeStatusController.getStatus";
import sendAgain from "@salesforce/apex/BridgeStatusController.sendAgain";
import { fixedBySentence, payableSentence, statusSentence } from "./words";

const NOT_LOADED =
  "The NetSuite status could not be read. Please try again later.";
const NOT_SENT = "The record could not be sent. Please try again later.";
const TOTALS = [
  ["purchased", "Purchased"],
  ["remitted", "Remitted to date"],
  ["remaining", "Remaining"]
];

/** What NetSuite has of an Account or an Application, for people who have no NetSuite login. */
export default class NetsuiteStatus extends LightningElement {
  @api recordId;
  isSending = false;
  wired;

  @wire(getStatus, { recordId: "$recordId" })
  receive(answer) {
    this.wired = answer;
  }

  get isLoading() {
    return !this.wired?.data && !this.wired?.error;
  }

  get loadError() {
    return this.wired?.error
      ? (this.wired.error.body?.message ?? NOT_LOADED)
      : undefined;
  }

  get status() {
    return this.wired?.data;
  }

  get statusText() {
    return statusSentence(this.status.status);
  }

  get fixedBy() {
    return fixedBySentence(this.status.errorOwner);
  }

  get cannotSend() {
    return this.isSending || !this.status;
  }

  get currencyCode() {
    return this.status.currencyCode ?? CURRENCY;
  }

  get totals() {
    return TOTALS.filter(([name]) => isNumber(this.status[name])).map(
      ([name, label]) => ({
        name,
        label,
        amount: this.status[name]
      })
    );
  }

  get hasTotals() {
    return this.totals.length > 0;
  }

  get orders() {
    return (this.status.orders ?? []).map((order) => ({
      ...order,
      currencyCode: order.currencyCode ?? this.currencyCode,
      page: pageOf(order.id),
      linesLabel: `Lines of ${order.orderNumber}`,
      hasLines: (order.lines ?? []).length > 0,
      lines: (order.lines ?? []).map((line, index) => ({
        ...line,
        key: `${order.id}-${index}`
      }))
    }));
  }

  get hasOrders() {
    return this.orders.length > 0;
  }

  get fees() {
    return (this.status.fees ?? []).map((fee) => ({
      ...fee,
      feeType: fee.feeType ?? "No fee type"
    }));
  }

  get hasFees() {
    return this.fees.length > 0;
  }

  get commissions() {
    return (this.status.commissions ?? []).map((one, index) => ({
      ...one,
      key: one.id ?? `agreed-${index}`,
      page: one.id ? pageOf(one.id) : undefined,
      heading: [one.broker, one.application].filter(Boolean).join(", "),
      currencyCode: one.currencyCode ?? this.currencyCode,
      hasAmount: isNumber(one.amount),
      hasPercent: !isNumber(one.amount) && isNumber(one.percent),
      share: one.percent / 100,
      stateText: payableSentence(one.state, one.netsuiteId)
    }));
  }

  get hasCommissions() {
    return this.commissions.length > 0;
  }

  get remittances() {
    return (this.status.remittances ?? []).map((one) => ({
      ...one,
      currencyCode: one.currencyCode ?? this.currencyCode,
      page: pageOf(one.id),
      shownNumber: one.paymentNumber ?? one.name,
      appliedTo: one.appliedTo ?? "Not applied yet",
      hasBalance: isNumber(one.runningBalance),
      shownStatus: one.reversed
        ? `Reversed: ${one.status ?? "no longer applied here"}`
        : one.status
    }));
  }

  get hasRemittances() {
    return this.remittances.length > 0;
  }

  get receivables() {
    return (this.status.receivables ?? []).map((sum) => ({
      ...sum,
      key: sum.currencyCode ?? "none",
      currencyCode: sum.currencyCode ?? this.currencyCode,
      isOverdue: sum.overdue > 0
    }));
  }

  get documents() {
    return (this.status.documents ?? []).map((one) => ({
      ...one,
      currencyCode: one.currencyCode ?? this.currencyCode,
      page: pageOf(one.id),
      shownStatus: one.overdue
        ? `Overdue: ${one.daysOverdue} ${one.daysOverdue === 1 ? "day" : "days"}`
        : one.status
    }));
  }

  get hasDocuments() {
    return this.documents.length > 0;
  }

  async handleRefresh() {
    await refreshApex(this.wired);
  }

  async handleSendAgain() {
    this.isSending = true;
    try {
      await sendAgain({ recordId: this.recordId });
      this.tell(
        "On its way to NetSuite",
        "Refresh in a moment to see how it went.",
        "success"
      );
    } catch (error) {
      this.tell(
        "Not sent to NetSuite",
        error?.body?.message ?? NOT_SENT,
        "error"
      );
    } finally {
      this.isSending = false;
    }
    await notifyRecordUpdateAvailable([{ recordId: this.recordId }]);
    await refreshApex(this.wired);
  }

  tell(title, message, variant) {
    this.dispatchEvent(new ShowToastEvent({ title, message, variant }));
  }
}

function isNumber(value) {
  return typeof value === "number";
}

function pageOf(id) {
  return `/lightning/r/${id}/view`;
}
