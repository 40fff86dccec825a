// A link of the error summary about a line of a pasted list selects that line in its box. Without this
// the link leads to the box.
export function lineLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-line]");
    const box = link && document.getElementById(link.hash.slice(1));
    if (!(box instanceof HTMLTextAreaElement)) {
      return;
    }
    event.preventDefault();
    const lines = box.value.split("\n");
    const place = Number(link.dataset.line) - 1;
    const start = lines.slice(0, place).reduce((sum, line) => sum + line.length + 1, 0);
    box.focus();
    box.setSelectionRange(start, start + (lines[place] ?? "").length);
    // Browsers do not scroll to a selection; a line that is wrapped makes this a little short.
    box.scrollTop = (box.scrollHeight * place) / lines.length - box.clientHeight / 3;
  });
}
