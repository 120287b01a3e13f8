import { createElement } from "lwc";
import NetsuiteSendAgain from "c/netsuiteSendAgain";
import sendAgain from "@salesforce/apex/BridgeStatusController.sendAgain";

const TOAST = "lightning__showtoast";

jest.mock(
  "@salesforce/apex/BridgeStatusController.sendAgain",
  () => ({ default: jest.fn() }),
  { virtual: true }
);

const CONTACT = "003000000000001AAA";

function action() {
  const element = createElement("c-netsuite-send-again", {
    is: NetsuiteSendAgain
  });
  element.recordId = CONTACT;
  document.body.appendChild(element);
  const toasts = [];
  element.addEventListener(TOAST, (event) => toasts.push(event.detail));
  return { element, toasts };
}

describe("the action that sends a record again", () => {
  afterEach(() => {
    while (document.body.firstChild) {
      document.body.removeChild(document.body.firstChild);
    }
    jest.clearAllMocks();
  });

  it("sends the record and says so", async () => {
    sendAgain.mockResolvedValue(undefined);
    const { element, toasts } = action();

    await element.invoke();

    expect(sendAgain).toHaveBeenCalledWith({ recordId: CONTACT });
    expect(toasts.map((toast) => toast.variant)).toEqual(["success"]);
  });

  it("sends it once when it is pressed twice", async () => {
    sendAgain.mockResolvedValue(undefined);
    const { element } = action();

    await Promise.all([element.invoke(), element.invoke()]);

    expect(sendAgain).toHaveBeenCalledTimes(1);
  });

  it("tells the reason when it was not sent, and can be pressed again", async () => {
    sendAgain.mockRejectedValueOnce({
      body: { message: "This record does not exist any more." }
    });
    sendAgain.mockRejectedValueOnce(new Error("network"));
    const { element, toasts } = action();

    await element.invoke();
    await element.invoke();

    expect(toasts.map((toast) => toast.message)).toEqual([
      "This record does not exist any more.",
      "The record could not be sent. Please try again later."
    ]);
  });
});
