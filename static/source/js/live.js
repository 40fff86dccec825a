// A page that keeps itself up to date. Without this script its link "Refresh" does the same.
//
//   <div data-live="/requests/PIC-.../stream" data-live-version="..." data-live-say="...">
//   <div data-live="/staff/requests/stream" data-live-page="/staff/requests?state=rejected">
//
// The stream says that there is something new; the page is fetched again and what differs is put in
// its place. Whatever is the same stays the very same element: with its focus, what was typed into
// it, open or folded, and the page where it was scrolled to. What may move up or down, like the rows of
// a list, needs an id: without one it is told by its place, and what is ticked would become another.
import { Idiomorph } from "idiomorph";
import { announce } from "./announce.js";
import { COPY_BUTTONS, copyButtons } from "./copy.js";
import { localTimes } from "./local.js";
import { SHOW_BUTTONS, showButtons } from "./show.js";

// When there is no room for a stream, or the page could not be fetched.
const LATER_MS = 60000;

// Of these the value says what they stand for: nobody types it.
const NOT_TYPED = "[type=checkbox], [type=radio], [type=hidden]";

// What the reader or a script has done to an element is not undone.
function isTheReaders(name, element) {
  return (
    (name === "open" && element.matches("details")) ||
    (name === "value" && element.matches(`input:not(${NOT_TYPED}), textarea`)) ||
    (["checked", "type"].includes(name) && element.matches("input")) ||
    (name === "hidden" && element.matches(`${COPY_BUTTONS}, ${SHOW_BUTTONS}`))
  );
}

export function livePage() {
  const region = document.querySelector("[data-live]");
  if (!region || !window.EventSource) {
    return;
  }
  const stream = region.dataset.live;
  const page = region.dataset.livePage ?? stream.replace(/\/stream$/, "");
  let source;
  let later;
  let fetching = false;
  let again = false;
  let isBack = false;

  async function refresh() {
    if (fetching) {
      again = true;
      return;
    }
    fetching = true;
    try {
      // The header says that nobody is at it: a session at the support desk ends all the same.
      const headers = { accept: "text/html", "x-pic-live": "1" };
      const answer = await fetch(page, { headers, cache: "no-store" });
      if (answer.redirected) {
        // To where one signs in: what stands here is not for whoever sits here now.
        location.reload();
        return;
      }
      if (!answer.ok) {
        throw new Error("there is no page");
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      show(fresh);
    } catch {
      look(LATER_MS);
    } finally {
      fetching = false;
    }
    if (again) {
      again = false;
      refresh();
    }
  }

  function show(fresh) {
    const { liveSay: said, liveNote: note } = region.dataset;
    const update = fresh.querySelector("[data-live]");
    if (!update) {
      return;
    }
    Idiomorph.morph(region, update, {
      morphStyle: "outerHTML",
      callbacks: {
        beforeAttributeUpdated: (name, element) => !isTheReaders(name, element),
      },
    });
    copyButtons();
    showButtons();
    localTimes();
    document.title = fresh.title;
    if (region.dataset.liveSay !== said) {
      announce(region.dataset.liveSay);
    } else if (region.dataset.liveNote && region.dataset.liveNote !== note) {
      announce(`Checked just now: ${region.dataset.liveSay}, as before`);
    }
  }

  function look(after) {
    clearTimeout(later);
    later = setTimeout(() => {
      close();
      refresh();
      open();
    }, after);
  }

  function open() {
    if (source || document.hidden) {
      return;
    }
    source = new EventSource(stream);
    source.addEventListener("open", () => {
      // Without a version nobody can say what was missed while there was no stream.
      if (isBack && !region.dataset.liveVersion) {
        refresh();
      }
      isBack = true;
    });
    source.addEventListener("status", (event) => {
      if (JSON.parse(event.data).version !== region.dataset.liveVersion) {
        refresh();
      }
    });
    source.addEventListener("changed", refresh);
    source.addEventListener("error", () => {
      // Otherwise the browser comes back by itself.
      if (source?.readyState === EventSource.CLOSED) {
        look(LATER_MS);
      }
    });
  }

  function close() {
    clearTimeout(later);
    source?.close();
    source = undefined;
  }

  // A page that nobody sees keeps no connection: browsers have six for all pages of a site. Shown
  // again, it hears at once how things stand.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
}
