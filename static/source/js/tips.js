// Tips while typing in the request form. They never stand in the way: the portal decides.
import { announce } from "./announce.js";

const PAUSE_MS = 700;
const names = (box) => box.value.toLowerCase().split(/[\s,;]+/).filter(Boolean);
const plural = (count, one, many) => (count === 1 ? one : `${count} ${many}`);

function edgeTip(field) {
  if (field.value.includes("@")) {
    return "That looks like an email address. The name of a server is asked for, like sip.contoso.com";
  }
  return names(field).length > 1 ? "One server stands in this field. Add another Access Edge for the next one" : "";
}

function domainsTip(box, edges, boxes) {
  const all = names(box);
  const own = new Set(all);
  const addresses = all.filter((name) => name.includes("@")).length;
  if (addresses) {
    return `${plural(addresses, "One entry looks", "entries look")} like an email address. Only what follows the @ is asked for, like contoso.com`;
  }
  const server = edges.flatMap(names).find((name) => own.has(name));
  if (server) {
    return `${server} is the name of an Access Edge, not a SIP domain`;
  }
  for (const [place, other] of boxes.entries()) {
    const twice = other !== box && names(other).find((name) => own.has(name));
    if (twice) {
      return `${twice} stands at Access Edge ${place + 1} too. A SIP domain has one Access Edge`;
    }
  }
  const doubles = all.length - own.size;
  if (doubles) {
    return `${own.size} SIP domains. ${plural(doubles, "One is listed twice and counts", "are listed more than once and count")} once`;
  }
  return all.length > 3 ? `${all.length} SIP domains` : "";
}

function show(field, text, aloud) {
  const id = `${field.id}-tip`;
  let tip = document.getElementById(id);
  // An error of the portal's says it already.
  if (!text || document.getElementById(`${field.id}-error`)) {
    tip?.remove();
    describe(field, id, false);
    return;
  }
  if (tip?.textContent === text) {
    return;
  }
  if (!tip) {
    tip = document.createElement("p");
    tip.id = id;
    tip.className = "app-note app-note--tip";
    // Below: what is typed into does not move.
    field.after(tip);
    describe(field, id, true);
  }
  tip.textContent = text;
  if (aloud) {
    announce(text);
  }
}

function describe(field, id, on) {
  const ids = (field.getAttribute("aria-describedby") ?? "").split(/\s+/).filter((other) => other && other !== id);
  if (on) {
    ids.push(id);
  }
  if (ids.length) {
    field.setAttribute("aria-describedby", ids.join(" "));
  } else {
    field.removeAttribute("aria-describedby");
  }
}

// Gives back a function that looks at all fields again, quietly.
export function tips() {
  const form = document.getElementById("edges-part")?.closest("form");
  const look = (aloud) => {
    const edges = [...form.querySelectorAll("input[name='edge']")];
    const boxes = [...form.querySelectorAll("textarea[name='domains']")];
    for (const edge of edges) {
      show(edge, edgeTip(edge), aloud);
    }
    for (const box of boxes) {
      show(box, domainsTip(box, edges, boxes), aloud);
    }
    const number = form.elements.number;
    // An update of a service does not ask for it again.
    if (number) {
      show(number, number.value.includes("@") ? "No email address is needed here, only the number" : "", aloud);
    }
  };
  if (!form) {
    return () => {};
  }
  let timer;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS, true);
  });
  look(false);
  return () => look(false);
}
