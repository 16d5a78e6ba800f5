// Reads the embedded value: traces with events that have names instead of places.

const FIELDS = ["index", "kind", "actor", "command", "object", "said", "text", "reply"];

function tracesOf(data) {
  const text = (number) => data.texts[number];
  return data.traces.map((trace) => ({
    id: trace.id,
    actors: trace.actors.map(text),
    marked: new Set(trace.marked),
    timed: trace.timed,
    events: trace.events.map((row) => {
      const event = { index: row[0] };
      FIELDS.slice(1).forEach((field, at) => { event[field] = text(row[at + 1]); });
      event.seen = row[8].map(([object, access, before, after]) => ({
        object: text(object), access: text(access), before: text(before), after: text(after),
      }));
      [event.parked, event.released, event.replied, event.epoch] = row.slice(9);
      [event.line, event.lines] = row.length > 13 ? row.slice(13).map(text) : ["", ""];
      event.at = event.released ?? event.replied;
      return event;
    }),
  }));
}

/** What an event is called: the anchor of its own. */
const anchor = (trace, event) => `${trace.id}event-${event.index}`;

const milliseconds = (number) => (number === null || number === undefined ? "" : `${number.toFixed(number < 100 ? 2 : 1)}`);

const traces = tracesOf(JSON.parse(document.getElementById("data").textContent));
