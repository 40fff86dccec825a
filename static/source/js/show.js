// Shows a password or key while it is typed. The page carries the button hidden: without this script
// there is nothing to press.
//
//   <button hidden data-show="#id"><span data-show-label>Show</span></button>
import { announce } from "./announce.js";

export const SHOW_BUTTONS = "[data-show]";

const answering = new WeakSet();

// May be called again when there are new ones.
export function showButtons() {
  for (const button of document.querySelectorAll(SHOW_BUTTONS)) {
    const field = document.querySelector(button.dataset.show);
    if (!field || answering.has(button)) {
      continue;
    }
    answering.add(button);
    const label = button.querySelector("[data-show-label]");
    const show = (shown) => {
      field.type = shown ? "text" : "password";
      label.textContent = shown ? "Hide" : "Show";
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = field.type === "password";
      show(shown);
      announce(shown ? "What is typed is shown" : "What is typed is hidden");
    });
    // Sent as a password, so that the browser does not keep it with other texts.
    field.form?.addEventListener("submit", () => show(false));
  }
}
