// The address tool answers while somebody types, and sends nothing. What it does not know for an
// address is left to the portal, which says what is wrong.
const ADDRESS = /^\s*([\w+-]+(?:\.[\w+-]+)*)@((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,})\s*$/i;

export function addressTool() {
  const form = document.querySelector("form[data-address]");
  if (!form) {
    return;
  }
  const field = form.elements.address;
  const answer = form.querySelector("[data-answer]");
  const [words, written] = [answer.querySelector("p"), answer.querySelector("pre")];
  const plain = form.dataset.plain.split(",");

  function write() {
    const [, local, domain] = ADDRESS.exec(field.value) ?? [];
    const known = Boolean(domain) && local.length <= 64;
    answer.hidden = !known;
    if (known) {
      const name = domain.toLowerCase();
      const stays = plain.includes(name);
      words.textContent = stays ? "Your users type it as it is:" : "Your users type:";
      written.textContent = stays ? `${local}@${name}` : `${local}(${name})@${form.dataset.routing}`;
    }
    return known;
  }

  answer.setAttribute("role", "status");
  field.addEventListener("input", write);
  form.addEventListener("submit", (event) => {
    if (!form.querySelector(".govuk-error-message") && write()) {
      event.preventDefault();
    }
  });
}
