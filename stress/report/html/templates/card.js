// The card that tells of one event: shown while it is pointed at or has the focus, kept when it is clicked.

function cardFor(canvas, trace) {
  const card = make("div", { class: "card", role: "status" });
  card.hidden = true;
  canvas.append(card);
  let pinned = null;

  function row(list, name, ...values) {
    list.append(make("dt", {}, name), make("dd", {}, ...values));
  }

  function tell(event) {
    const name = anchor(trace, event);
    const head = make("header", {},
      make("a", { href: `#${name}`, title: "a link to this event" }, `#${event.index}`),
      make("strong", {}, `${event.actor} ${event.kind === "step" ? event.command : event.said}`));
    if (pinned) {
      const close = make("button", { type: "button", "aria-label": "close" }, "×");
      close.addEventListener("click", () => { unpin(); });
      head.append(close);
    }
    const list = make("dl");
    if (event.kind === "step") {
      row(list, "command", make("code", {}, event.text || event.command));
      if (event.object) row(list, "key", make("code", {}, event.object));
    }
    if (event.lines) row(list, "line", make("code", {}, event.lines));
    if (event.reply) row(list, event.kind === "answer" ? "means" : "reply", make("code", {}, event.reply));
    for (const one of event.seen) {
      const name = event.seen.length > 1 ? `${one.access} ${one.object}` : one.access;
      if (one.access === "read") row(list, name, make("code", {}, one.after));
      else row(list, name, make("code", {}, one.before), " → ", make("code", {}, one.after));
    }
    if (event.at !== null && event.at !== undefined) row(list, "time", timesOf(event));
    card.replaceChildren(head, list);
  }

  function timesOf(event) {
    if (event.parked === null || event.released === null) return `${milliseconds(event.at)} ms`;
    const waited = milliseconds(event.released - event.parked);
    return `parked at ${milliseconds(event.parked)} ms for ${waited} ms, replied at ${milliseconds(event.replied)} ms`;
  }

  function place(group) {
    const box = group.getBoundingClientRect();
    const frame = canvas.getBoundingClientRect();
    const room = canvas.clientWidth - card.offsetWidth - 8;
    card.style.left = `${canvas.scrollLeft + Math.max(8, room)}px`;
    const below = box.bottom - frame.top + 4;
    const above = box.top - frame.top - card.offsetHeight - 4;
    card.style.top = `${below + card.offsetHeight > canvas.clientHeight && above > 0 ? above : below}px`;
  }

  function show(event, group) {
    if (pinned) return;
    tell(event);
    card.hidden = false;
    place(group);
  }

  function hide() {
    if (!pinned) card.hidden = true;
  }

  function unpin() {
    if (!pinned) return;
    const { group } = pinned;
    group.classList.remove("pinned");
    card.classList.remove("pinned");
    pinned = null;
    card.hidden = true;
    group.focus();
  }

  function pin(event, group) {
    const again = pinned && pinned.event === event;
    if (pinned) unpin();
    if (again) return;
    pinned = { event, group };
    tell(event);
    card.hidden = false;
    card.classList.add("pinned");
    group.classList.add("pinned");
    place(group);
  }

  function redrawn() {
    pinned = null;
    card.hidden = true;
    card.classList.remove("pinned");
    canvas.append(card);
  }

  return { show, hide, pin, unpin, redrawn };
}
