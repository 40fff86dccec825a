// "Add another" answers with a page whose address ends in the new field's id: each browser
// scrolls there by itself, this puts the cursor in where a browser does not. (An `autofocus`
// attribute is refused beside a fragment.) An error summary has the first claim.
export function focusTarget() {
  if (document.querySelector("[data-module='govuk-error-summary']")) {
    return;
  }
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target?.id === "checks") {
    // After "Check again" the cursor is on the button again.
    target.querySelector("button")?.focus({ preventScroll: true });
  }
  if (target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement) {
    target.focus();
  }
}
