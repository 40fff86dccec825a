// Copy buttons. The page carries them hidden: without this script there is nothing to press.
//
//   <button hidden data-copy="#id">Copy</button>        copies that element's text
//   <button hidden data-copy-text="text">Copy</button>  copies the text
//   <button hidden data-copy-from="/path">Copy</button> copies the text that is there
import { announce } from "./announce.js";

const REMAIN_MS = 2500;

const answering = new WeakSet();

async function fetched(path) {
  const answer = await fetch(path, { headers: { accept: "text/plain" } });
  if (!answer.ok) {
    throw new Error("there is nothing to copy");
  }
  return answer.text();
}

function textOf(button) {
  if (button.dataset.copyText !== undefined) {
    return button.dataset.copyText;
  }
  return document.querySelector(button.dataset.copy)?.textContent.trim() ?? "";
}

// Some browsers write to the clipboard only as long as the press is going on: they take a promise.
async function writeFrom(path) {
  const text = fetched(path);
  try {
    const blob = text.then((plain) => new Blob([plain], { type: "text/plain" }));
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
  } catch {
    await write(await text);
  }
}

// `navigator.clipboard` exists on https and on localhost only, and may be refused.
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "govuk-visually-hidden";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) {
      throw new Error("the browser did not copy");
    }
  }
}

export const COPY_BUTTONS = "[data-copy], [data-copy-text], [data-copy-from]";

// May be called again when there are new ones.
export function copyButtons() {
  for (const button of document.querySelectorAll(COPY_BUTTONS)) {
    if (answering.has(button)) {
      continue;
    }
    answering.add(button);
    const label = button.querySelector("[data-copy-label]") ?? button;
    const resting = label.textContent;
    let timer;
    button.hidden = false;
    button.addEventListener("click", async () => {
      let said = "Copied";
      try {
        const from = button.dataset.copyFrom;
        await (from === undefined ? write(textOf(button)) : writeFrom(from));
      } catch {
        said = "Not copied: select the text instead";
      }
      button.focus();
      label.textContent = said;
      announce(said);
      clearTimeout(timer);
      timer = setTimeout(() => {
        label.textContent = resting;
      }, REMAIN_MS);
    });
  }
}
