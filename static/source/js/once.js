// A form is sent once: a second press while the answer is on its way does nothing. The portal
// knows a form that is sent twice; this only spares people the wait.
const PATIENCE_MS = 8000;

export function sendOnce() {
  const sent = new Set();
  // Listens last: forms that a script answers by itself are none of its business.
  window.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") {
      return;
    }
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    sent.add(form);
    setTimeout(() => sent.delete(form), PATIENCE_MS);
  });
  // Back from the answer: the page may be the same as before.
  window.addEventListener("pageshow", () => sent.clear());
}
