// The space-time diagram: time runs down; a lane for each actor, one for the Gateway's connections, one for the store.

const ROW = 32, TOP = 44, LEFT = 52, SLOT = 14, PAGE = 300, LABEL = 18, NARROW = 760;

/** Where everything stands across: requests first, then the Gateway's connections, the store, and the words. */
function lanesOf(trace, width) {
  const acting = new Set(trace.events.filter((event) => event.kind === "environment").map((event) => event.actor));
  const own = trace.actors.filter((actor) => !acting.has(actor));
  const others = trace.actors.filter((actor) => acting.has(actor));
  const narrow = width < NARROW;
  const each = Math.max(36, Math.min(narrow ? 40 : 84, (width * 0.32) / Math.max(1, trace.actors.length)));
  const x = {};
  [...own, ...others].forEach((actor, at) => { x[actor] = LEFT + each * (at + 0.5); });
  const gate = LEFT + each * trace.actors.length + 14;
  const slot = {};
  own.forEach((actor, at) => { slot[actor] = gate + 10 + SLOT * (at + 0.5); });
  const gateWidth = Math.max(narrow ? 44 : 168, SLOT * own.length + 20);
  const spare = (gateWidth - 20 - SLOT * own.length) / 2;
  for (const actor of own) slot[actor] += spare;
  const store = gate + gateWidth + (narrow ? 30 : 44);
  const gateName = narrow ? "gate" : "Gateway's connections";
  return { x, slot, own, others, each, gate, gateWidth, gateName, store, words: store + 22, colour: colours(own, others) };
}

function colours(own, others) {
  const colour = {};
  own.forEach((actor, at) => { colour[actor] = `lane-${at % 6}`; });
  for (const actor of others) colour[actor] = "lane-env";
  return colour;
}

/** Where everything stands down, by row or by the clock; words are moved down where they would cover each other. */
function timesOf(trace, events, clock) {
  const last = {};
  const begin = events[0].parked ?? events[0].at;
  const span = Math.max(...events.map((event) => event.replied ?? event.at ?? 0)) - begin;
  const scale = clock ? Math.max(240, Math.min(events.length * 26, 6000)) / Math.max(span, 1e-6) : 0;
  const down = (time) => TOP + 12 + (time - begin) * scale;
  let free = 0;
  const rows = events.map((event, at) => {
    const y = clock ? down(event.at) : TOP + 18 + ROW * at;
    const steps = event.kind === "step";
    const before = last[event.actor] ?? y;
    const parked = !steps ? y : clock && event.parked !== null ? Math.max(TOP, down(event.parked)) : before;
    const replied = !steps ? y : clock && event.replied !== null ? down(event.replied) : y + 8;
    const label = clock ? Math.max(y, free) : y;
    free = label + LABEL;
    last[event.actor] = replied + (clock ? 0 : 3);
    return { event, y, parked, replied, label };
  });
  return { rows, height: Math.max(free, ...rows.map((row) => row.replied)) + 18, begin, span, down };
}

/** Cut a text to what fits; the card has it whole. */
const fitting = (text, room) => {
  const most = Math.max(4, Math.floor(room / 7.3));
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
};

function patterns(lanes, number) {
  return draw("defs", {}, ...lanes.own.map((actor, at) => draw("pattern", {
    id: `hatch-${number}-${at}`, class: lanes.colour[actor], width: 5, height: 5,
    patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)",
  }, draw("path", { class: "hatch", d: "M0 0v5" }))));
}

function heads(lanes, height) {
  const parts = [];
  parts.push(draw("rect", { class: "lane", x: lanes.gate, y: 8, width: lanes.gateWidth, height: height - 14, rx: 6 }));
  for (const actor of [...lanes.own, ...lanes.others]) {
    const x = lanes.x[actor];
    parts.push(draw("path", { class: "rail", d: `M${x} ${TOP - 12}V${height - 8}`, "stroke-dasharray": "2 4" }));
    const head = draw("text", { class: "head", x, y: 26, "text-anchor": "middle" }, fitting(actor, lanes.each));
    parts.push(draw("g", {}, draw("title", {}, actor), head));
  }
  const middle = lanes.gate + lanes.gateWidth / 2;
  parts.push(draw("text", { class: "head faint", x: middle, y: 26, "text-anchor": "middle" }, lanes.gateName));
  parts.push(draw("path", { class: "rail", d: `M${lanes.store} ${TOP - 12}V${height - 8}`, "stroke-width": 2 }));
  parts.push(draw("text", { class: "head faint", x: lanes.store, y: 26, "text-anchor": "middle" }, "store"));
  return parts;
}

/** The time in which each actor is at work: from its first event to its last. */
function lives(lanes, rows) {
  return lanes.own.flatMap((actor) => {
    const mine = rows.filter((row) => row.event.actor === actor);
    if (mine.length === 0) return [];
    const x = lanes.x[actor];
    const end = mine[mine.length - 1];
    return [draw("path", { class: `life ${lanes.colour[actor]}`, d: `M${x} ${mine[0].y}V${end.replied}` })];
  });
}

/** The time in which what one actor had seen was no longer true, on the store's lane. */
function windowOf(trace, lanes, rows) {
  const marked = rows.filter((row) => trace.marked.has(row.event.index) && row.event.kind === "step");
  if (marked.length < 2) return [];
  const from = marked[0].y, to = marked[marked.length - 1].y;
  return [draw("rect", { class: "window", x: lanes.store - 7, y: from, width: 14, height: to - from, rx: 4 })];
}

function stepParts(row, lanes, number) {
  const { event, y, parked, replied } = row;
  const x = lanes.x[event.actor], slot = lanes.slot[event.actor];
  const hatch = `url(#hatch-${number}-${lanes.own.indexOf(event.actor)})`;
  const marked = event.actor.startsWith("watch") ? [lanes.store, x] : [x, lanes.store];
  return [
    draw("path", { class: "send", d: `M${marked[0]} ${parked}H${slot}` }),
    draw("rect", { class: "parked", x: slot - 4, y: parked, width: 8, height: Math.max(3, y - parked), fill: hatch }),
    draw("path", { class: "send", d: `M${slot} ${y}H${marked[1]}` }),
    ...(marked[1] === x ? [] : [draw("path", { class: "back", d: `M${lanes.store} ${replied}H${x}` })]),
    draw("circle", { class: "dot", cx: marked[1], cy: y, r: 4 }),
    draw("circle", { class: "dot", cx: marked[0], cy: parked, r: 2.5 }),
  ];
}

function partsOf(row, lanes, number) {
  const { event, y } = row;
  const x = lanes.x[event.actor];
  if (event.kind === "step") return stepParts(row, lanes, number);
  if (event.kind === "environment") {
    const reach = event.actor === "clock" ? [] : [draw("path", { class: "send", d: `M${x} ${y}H${lanes.store}` })];
    return [...reach, draw("path", { class: "dot", d: `M${x} ${y - 6}l6 6l-6 6l-6 -6z` })];
  }
  if (event.kind === "blocked") return [draw("path", { class: "send", d: `M${x - 3} ${y - 4}v8M${x + 3} ${y - 4}v8` })];
  return [draw("circle", { class: event.kind === "start" ? "ring" : "dot", cx: x, cy: y, r: 5 })];
}

function eventGroup(trace, row, lanes, number, width) {
  const { event, y, label } = row;
  const marked = trace.marked.has(event.index);
  const said = event.reply ? `${event.said} → ${event.reply}` : event.said;
  const words = `${event.actor} ${said} ${event.line}`.trimEnd();
  const group = draw("g", {
    id: anchor(trace, event), class: `event ${lanes.colour[event.actor]}${marked ? " marked" : ""}`,
    tabindex: "-1", role: "button", "aria-label": `${event.index}: ${words}`,
  });
  group.append(
    draw("rect", { class: "back-of", x: 2, y: label - 11, width: width - 4, height: 22, rx: 4 }),
    ...partsOf(row, lanes, number));
  if (label - y > 3) {
    const at = lanes.words - 6;
    group.append(draw("path", { class: "leader", d: `M${lanes.store + 6} ${y}L${at - 6} ${label}H${at}` }));
  }
  const actor = draw("tspan", { "font-weight": 700 }, fitting(event.actor, 120));
  group.append(
    draw("text", { class: "at", x: LEFT - 14, y: label + 4, "text-anchor": "end" }, row.gutter),
    draw("text", { class: "label", x: lanes.words, y: label + 4 }, actor,
      ` ${fitting(said, width - lanes.words - 12 - 7.3 * (Math.min(event.actor.length, 16) + event.line.length + 2))} `,
      draw("tspan", { class: "line" }, event.line)));
  return group;
}

/** Draw a trace, or the part of it from one event on. */
function drawn(trace, number, from, clock, width) {
  const events = trace.events.slice(from, from + PAGE);
  const lanes = lanesOf(trace, width);
  const { rows, height, begin } = timesOf(trace, events, clock);
  for (const row of rows) row.gutter = clock ? milliseconds(row.event.at - begin) : String(row.event.index);
  const svg = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "the schedule as a diagram" });
  svg.append(patterns(lanes, number), ...heads(lanes, height));
  svg.append(draw("text", { class: "at", x: LEFT - 14, y: 26, "text-anchor": "end" }, clock ? "ms" : "#"));
  svg.append(...lives(lanes, rows), ...windowOf(trace, lanes, rows));
  for (const row of rows) svg.append(eventGroup(trace, row, lanes, number, width));
  return svg;
}

function diagram(figure) {
  const number = Number(figure.dataset.trace);
  const trace = traces[number];
  if (!trace || trace.events.length === 0) return;
  const canvas = figure.querySelector(".canvas");
  const pages = figure.querySelector(".pages");
  figure.hidden = false;
  const first = trace.events.findIndex((event) => trace.marked.has(event.index));
  let from = first >= PAGE ? Math.min(first - 20, trace.events.length - PAGE) : 0;
  let clock = false;
  const card = cardFor(canvas, trace);

  function redraw() {
    const width = Math.max(600, canvas.clientWidth);
    const svg = drawn(trace, number, from, clock, width);
    canvas.querySelector("svg")?.remove();
    canvas.prepend(svg);
    card.redrawn();
    listen(svg);
    for (const button of all("[data-by]", figure)) {
      button.setAttribute("aria-pressed", String((button.dataset.by === "clock") === clock));
      button.disabled = button.dataset.by === "clock" && !trace.timed;
      button.title = button.disabled ? "this run has no times: the model executor has no clock" : "";
    }
    pages.hidden = trace.events.length <= PAGE;
    const [earlier, later] = all("[data-go]", pages);
    earlier.disabled = from === 0;
    later.disabled = from + PAGE >= trace.events.length;
    const last = Math.min(from + PAGE, trace.events.length);
    figure.querySelector(".where").textContent = pages.hidden ? "" : `events ${from + 1} to ${last} of ${trace.events.length}`;
  }

  function listen(svg) {
    const groups = all("g.event", svg);
    groups[0].setAttribute("tabindex", "0");
    groups.forEach((group, at) => {
      const event = trace.events[from + at];
      group.addEventListener("mouseenter", () => card.show(event, group));
      group.addEventListener("mouseleave", () => card.hide());
      group.addEventListener("focus", () => card.show(event, group));
      group.addEventListener("blur", () => card.hide());
      group.addEventListener("click", () => { group.focus(); card.pin(event, group); });
      group.addEventListener("keydown", (key) => {
        const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: groups.length - 1 }[key.key];
        if (to !== undefined && groups[to]) {
          group.setAttribute("tabindex", "-1");
          groups[to].setAttribute("tabindex", "0");
          card.unpin();
          groups[to].focus();
        } else if (key.key === "Enter" || key.key === " ") card.pin(event, group);
        else if (key.key === "Escape") card.unpin();
        else return;
        key.preventDefault();
      });
    });
  }

  /** Bring the event that the address names into sight, and keep its card. */
  function follow() {
    const at = trace.events.findIndex((event) => `#${anchor(trace, event)}` === location.hash);
    if (at < 0) return;
    if (at < from || at >= from + PAGE) {
      from = Math.floor(at / PAGE) * PAGE;
      redraw();
    }
    const group = document.getElementById(location.hash.slice(1));
    group.scrollIntoView({ block: "center" });
    card.unpin();
    card.pin(trace.events[at], group);
  }

  for (const button of all("[data-by]", figure)) {
    button.addEventListener("click", () => { clock = button.dataset.by === "clock"; redraw(); });
  }
  for (const button of all("[data-go]", figure)) {
    button.addEventListener("click", () => {
      from = Math.max(0, Math.min(from + PAGE * Number(button.dataset.go), trace.events.length - 1));
      redraw();
    });
  }
  document.addEventListener("keydown", (key) => { if (key.key === "Escape") card.unpin(); });
  document.addEventListener("click", (click) => { if (!canvas.contains(click.target)) card.unpin(); });
  let drawnAt = canvas.clientWidth;
  addEventListener("resize", () => {
    if (canvas.clientWidth !== drawnAt) { drawnAt = canvas.clientWidth; redraw(); }
  });
  addEventListener("hashchange", follow);
  redraw();
  follow();
}
