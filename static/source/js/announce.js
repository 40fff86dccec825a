// One live region for all that scripts have to say.
let region;

export function announce(text) {
  if (!region) {
    region = document.createElement("div");
    region.className = "govuk-visually-hidden";
    region.setAttribute("role", "status");
    document.body.append(region);
  }
  // Emptied first, so that the same words are said again.
  region.textContent = "";
  setTimeout(() => {
    region.textContent = text;
  }, 50);
}
