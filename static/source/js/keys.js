// Keys of the support desk. They are the keys of letters, which speech input and others press too, so
// each browser can turn them off: the dialog that lists them, on each page of the desk, has a box.
const OFF = "pic-desk-keys-off";

// A browser may refuse to keep anything: then they are on.
function areOff() {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false;
  }
}

function turn(on) {
  try {
    if (on) {
      localStorage.removeItem(OFF);
    } else {
      localStorage.setItem(OFF, "1");
    }
  } catch {
    // They stay as they are.
  }
}

function step(by) {
  const links = [...document.querySelectorAll("[data-list] tbody th a")];
  const row = document.activeElement?.closest("tr");
  const at = links.findIndex((link) => row?.contains(link));
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function search() {
  const box = document.querySelector("#q");
  if (box) {
    box.focus();
    box.select();
  } else {
    location.assign("/staff/requests#q");
  }
}

function refuse() {
  const form = document.querySelector("form[action*='/refuse']");
  const details = form?.closest("details");
  if (details) {
    details.open = true;
    form.querySelector("[name=reason]").focus();
  }
}

export function deskKeys() {
  const dialog = document.querySelector("[data-keys]");
  const button = document.querySelector("[data-keys-help]");
  if (!dialog || !button) {
    return;
  }
  const box = dialog.querySelector("[data-keys-on]");
  const show = () => dialog.showModal();
  box.checked = !areOff();
  box.addEventListener("change", () => turn(box.checked));
  button.hidden = false;
  button.addEventListener("click", show);
  const keys = {
    "/": search,
    "?": show,
    j: () => step(1),
    k: () => step(-1),
    n: () => document.querySelector("a[rel=next]")?.click(),
    c: () => document.querySelector("form[action*='/check-again']")?.requestSubmit(),
    r: refuse,
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest(
      "select, textarea, input:not([type=checkbox], [type=radio])",
    );
    const isOther = event.ctrlKey || event.altKey || event.metaKey || event.isComposing;
    if (!box.checked || isTyping || isOther || dialog.open || !(event.key in keys)) {
      return;
    }
    event.preventDefault();
    keys[event.key]();
  });
}
