// Copy buttons. The page carries them hidden: without this script there is nothing to press.
//
//   <button hidden data-copy="#id">Copy</button>        copies that element's text
//   <button hidden data-copy-text="text">Copy</button>  copies the text
import { announce } from "./announce.js";

const REMAIN_MS = 2500;

function textOf(button) {
  if (button.dataset.copyText !== undefined) {
    return button.dataset.copyText;
  }
  return document.querySelector(button.dataset.copy)?.textContent.trim() ?? "";
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

export function copyButtons() {
  for (const button of document.querySelectorAll("[data-copy], [data-copy-text]")) {
    const label = button.querySelector("[data-copy-label]") ?? button;
    const resting = label.textContent;
    let timer;
    button.hidden = false;
    button.addEventListener("click", async () => {
      let said = "Copied";
      try {
        await write(textOf(button));
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
