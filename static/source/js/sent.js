// The form of a request that was sent and is come back to is the same form: it keeps its submission id,
// by which the portal knows that it was sent. Browsers restore what was typed, and not this.
export function keepSubmission() {
  const form = document.querySelector("form[action='/requests/new']");
  const field = form?.elements.submission_id;
  if (!field) {
    return;
  }
  field.value = history.state?.submissionId ?? field.value;
  form.addEventListener("submit", () => {
    history.replaceState({ ...history.state, submissionId: field.value }, "");
  });
}
