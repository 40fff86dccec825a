// Calls the number what the chosen programme calls it, which the hint of the programme begins with. The
// portal does the same when it shows the form again.
export function numberLabel() {
  const label = document.querySelector("label[for='number']");
  function name() {
    const chosen = document.querySelector("[name='programme']:checked");
    const hint = chosen && document.getElementById(chosen.getAttribute("aria-describedby"));
    if (label && hint) {
      label.textContent = hint.textContent.split(":")[0];
    }
  }
  document.addEventListener("change", name);
  // Going back in the history restores what was chosen.
  window.addEventListener("pageshow", name);
}
