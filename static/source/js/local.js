// At the desk, beside each time in UTC, the time where the reader is. May be called again when there are
// new ones.
export function localTimes() {
  if (!document.querySelector("[data-keys]")) {
    return;
  }
  for (const time of document.querySelectorAll("main time[datetime]")) {
    const at = new Date(time.dateTime);
    const isSaid = time.nextElementSibling?.matches("[data-local]");
    // Where the reader is at UTC there is nothing to add.
    if (!/UTC$/.test(time.textContent) || isSaid || at.getTimezoneOffset() === 0) {
      continue;
    }
    const here = document.createElement("span");
    here.className = "app-small app-local";
    here.dataset.local = "";
    const day = { weekday: "short", hour: "2-digit", minute: "2-digit" };
    here.textContent = ` (${at.toLocaleTimeString("en-GB", day)} here)`;
    time.after(here);
  }
}
