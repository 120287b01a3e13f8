import { LightningElement, api } from "lwc";
import { ShowToastEvent } from "lightning/platformShowToastEvent";
import { notifyRecordUpdateAvailable } from "lightning/uiRecordApi";
import sendAgain from "@salesforce/apex/BridgeStatusController.sendAgain";

const FAILED = "The record could not be sent. Please try again later.";

/** The action "Send Again to NetSuite": no screen, only a word about how it went. */
export default class NetsuiteSendAgain extends LightningElement {
  @api recordId;
  isSending = false;

  @api
  async invoke() {
    if (this.isSending) {
      return;
    }
    this.isSending = true;
    try {
      await sendAgain({ recordId: this.recordId });
      await notifyRecordUpdateAvailable([{ recordId: this.recordId }]);
      this.tell(
        "On its way to NetSuite",
        "Look again in a moment to see how it went.",
        "success"
      );
    } catch (error) {
      this.tell(
        "Not sent to NetSuite",
        error?.body?.message ?? FAILED,
        "error"
      );
    } finally {
      this.isSending = false;
    }
  }

  tell(title, message, variant) {
    this.dispatchEvent(new ShowToastEvent({ title, message, variant }));
  }
}
