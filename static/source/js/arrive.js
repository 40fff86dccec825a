// "Add another" and "Check again" answer with a page whose address ends in the id of a field or of the
// button: each browser scrolls there by itself, this puts the cursor in where a browser does not. (An
// `autofocus` attribute is refused beside a fragment.) An error summary has the first claim.
//
// Only the element that has the id keeps the cursor: when a browser scrolls to one that cannot have it,
// it takes it from all others.
export function focusTarget() {
  if (document.querySelector("[data-module='govuk-error-summary']")) {
    return;
  }
  const target = document.getElementById(location.hash.slice(1));
  if (target?.matches("input, textarea, button")) {
    target.focus();
  }
}
