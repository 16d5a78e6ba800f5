// The raw trace: every event in one table, filtered by words.

const AT_ONCE = 500;

function raw(part) {
  const trace = traces[Number(part.dataset.trace)];
  const body = part.querySelector("tbody");
  const input = part.querySelector("input");
  const count = part.querySelector(".count");
  const texts = trace.events.map((event) => `${event.actor} ${event.kind} ${event.text} ${event.object} ${event.reply} ${event.lines}`);
  const more = make("button", { type: "button" }, "show all");
  let most = AT_ONCE;

  function rowOf(event) {
    const link = make("a", { href: `#${anchor(trace, event)}` }, String(event.index));
    return make("tr", trace.marked.has(event.index) ? { class: "marked" } : {},
      make("td", { class: "number" }, link), make("td", {}, event.actor),
      make("td", {}, event.kind === "step" ? event.text || event.command : event.said),
      make("td", {}, event.reply), make("td", { class: "number" }, milliseconds(event.at)));
  }

  function show() {
    const words = wordsOf(input);
    const found = trace.events.filter((_, at) => has(texts[at], words));
    body.replaceChildren(...found.slice(0, most).map(rowOf));
    count.textContent = `${found.length} of ${trace.events.length} events`;
    more.hidden = found.length <= most;
  }

  input.addEventListener("input", show);
  more.addEventListener("click", () => { most = Infinity; show(); });
  part.append(more);
  part.querySelector(".first")?.remove();
  part.querySelector(".tools").hidden = false;
  show();
}

// First the table, so that the names of its rows are free for the diagram.
all(".raws").forEach(raw);
all("figure.diagram").forEach((figure) => {
  diagram(figure);
  const table = figure.nextElementSibling;
  if (!figure.hidden && table?.matches("details.table")) table.open = false;
});
