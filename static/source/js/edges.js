// Adds and removes an Access Edge in place: sends what the button would send, and takes the part
// with the edges out of the answer. The portal does the numbering and knows the limit.
import { announce } from "./announce.js";

const BUTTON = "button[value='add-edge'], button[value^='remove-edge-']";

export function edgesInPlace(changed) {
  let part = document.getElementById("edges-part");
  part?.closest("form").addEventListener("click", async (event) => {
    const button = event.target.closest(BUTTON);
    // After errors the whole page has to change: the summary and the title speak of them.
    if (!button || part.inert || document.querySelector(".govuk-error-summary")) {
      return;
    }
    event.preventDefault();
    const form = button.form;
    const fields = new URLSearchParams(new FormData(form));
    fields.set("action", button.value);
    // Nothing can be typed that the answer does not know of.
    part.inert = true;
    try {
      const answer = await fetch(form.getAttribute("action"), { method: "POST", body: fields });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("edges-part");
      if (!answer.ok || !fresh) {
        throw new Error("not the form");
      }
      part.replaceWith(document.adoptNode(fresh));
      part = fresh;
      settle(button.value);
      changed();
    } catch {
      // The long way: the page that the button leads to.
      part.inert = false;
      part.closest("form").requestSubmit(button);
    }
  });

  function settle(action) {
    const edges = part.querySelectorAll("input[name='edge']");
    const removed = Number(action.replace(/\D+/g, ""));
    // The new field; or what has taken the place of the removed one.
    const target = edges[removed ? Math.min(removed, edges.length) - 1 : edges.length - 1];
    target.focus();
    target.closest("fieldset").scrollIntoView({ block: "nearest" });
    const total = edges.length === 1 ? "1 Access Edge" : `${edges.length} Access Edges`;
    announce(removed ? `Access Edge ${removed} removed. ${total} left` : `Access Edge ${edges.length} added`);
  }
}
