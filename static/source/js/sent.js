// The form of a request that was sent and is come back to is the same form: it keeps its submission id,
// by which the portal knows that it was sent. Browsers restore what was typed, and not this.
//
// Only of a form that was asked for empty: a page that answers what was sent is sent for again when it is
// come back to, and forgets what was sent as soon as its place in the history is written to.
export function keepSubmission() {
  const form = document.querySelector("form[action='/requests/new']");
  const field = form?.elements.submission_id;
  const isAnswer = form?.elements.number?.defaultValue || document.querySelector("[data-module='govuk-error-summary']");
  if (!field || isAnswer) {
    return;
  }
  field.value = history.state?.submissionId ?? field.value;
  form.addEventListener("submit", () => {
    history.replaceState({ ...history.state, submissionId: field.value }, "");
  });
}
