// Events one after another: look at the clip, say what it was.

import { api } from "./api.js";
import { Chosen } from "./chosen.js";
import { loadAhead } from "./clip.js";
import { ask, el, empty, field, toast } from "./dom.js";
import { SAYS, drawEvent, verdictTag } from "./event.js";
import { dayBounds, when, words } from "./format.js";
import { bind } from "./keys.js";
import { on } from "./socket.js";
import { noteOf, noteSent } from "./verdicts.js";

const PAGE = 50,
  SOON = 5; // so many before the last one known more are asked for

export async function show(root, { rest, query }) {
  const [cameras, model] = await Promise.all([api("/cameras"), api("/model")]);
  const filter = {
    camera: query.get("camera") || "",
    category: query.get("category") || "",
    review: query.get("review") ?? (rest[0] ? "" : "none"),
    day: query.get("day") || "",
  };
  const choice = (label, name, options) =>
    el(
      "select",
      {
        "aria-label": label,
        onchange: (event) => {
          filter[name] = event.target.value;
          load();
        },
      },
      options.map(([value, text]) => el("option", { value, selected: value === filter[name] }, text)),
    );
  const names = [...new Set([...cameras.map((camera) => camera.name), filter.camera])].filter(Boolean);
  const categories = [...new Set([...model.categories, filter.category])].filter(Boolean);
  let events = [],
    here = -1,
    skip = 0,
    video = null,
    loading = false;
  const undoable = []; // what was said, the newest last: { numbers, text }
  const queue = el("ol", { class: "queue", "aria-label": "Events" }),
    stage = el("section", { class: "stage-review", "aria-label": "Event" });
  const more = el("button", { class: "tool", hidden: true, onclick: () => load(true) }, "More");
  const count = el("p", { class: "kicker", role: "status" });
  const chosen = new Chosen({
    all: () => events.map((event) => event.id),
    say: (verdict) => give(marked(), verdict),
    relabel: () => relabel(marked()),
  });
  const marked = () => events.filter((event) => chosen.ids.has(event.id));
  root.append(
    el(
      "div",
      { class: "head" },
      el("div", {}, el("h1", {}, "Review"), count),
      el(
        "div",
        { class: "tools" },
        choice("Camera", "camera", [["", "All cameras"], ...names.map((name) => [name, name])]),
        choice("Category", "category", [["", "All categories"], ...categories.map((name) => [name, words(name)])]),
        choice("Verdict", "review", [
          ["none", "To review"],
          ["", "All"],
          ["any", "Reviewed"],
          ["confirmed", "Confirmed"],
          ["dismissed", "Dismissed"],
          ["relabelled", "Relabelled"],
          ["unsure", "Unsure"],
        ]),
        el("input", {
          type: "date",
          "aria-label": "Day",
          value: filter.day,
          onchange: (event) => {
            filter.day = event.target.value;
            load();
          },
        }),
      ),
    ),
    el("div", { class: "review" }, stage, el("div", { class: "side card" }, chosen.node, queue, more)),
  );
  async function load(further = false) {
    const [start, end] = filter.day ? dayBounds(filter.day) : [null, null];
    let found;
    try {
      found = await api("/events", {
        query: {
          camera: filter.camera,
          category: filter.category,
          review: filter.review,
          start,
          end,
          limit: PAGE,
          skip: further ? skip : 0,
        },
      });
    } catch (error) {
      stage.replaceChildren(
        el(
          "div",
          { class: "empty card", role: "alert" },
          el("h3", {}, "Events could not be loaded"),
          el("p", {}, error.message),
          el("p", { class: "actions" }, el("button", { class: "tool", onclick: () => load() }, "Try again")),
        ),
      );
      return;
    }
    const known = new Set(further ? events.map((event) => event.id) : []);
    const kept = further ? events[here]?.id : rest[0] || events[here]?.id;
    events = [...(further ? events : []), ...found.events.filter((event) => !known.has(event.id))];
    if (!further && rest[0] && !events.some((event) => event.id === rest[0])) {
      try {
        events.unshift(await api("/events/" + encodeURIComponent(rest[0])));
      } catch (error) {
        toast(error.message, "bad");
      }
    }
    rest = [];
    skip = found.next_skip ?? 0;
    more.hidden = found.next_skip === null;
    drawQueue();
    if (further) loadAhead([events[here + 1]]);
    else
      open(
        Math.max(
          0,
          events.findIndex((event) => event.id === kept),
        ),
      );
  }
  function drawQueue() {
    count.textContent = events.length
      ? `${events.length}${more.hidden ? "" : "+"} event${events.length === 1 ? "" : "s"}`
      : "";
    queue.replaceChildren(
      ...events.map((event, index) =>
        el(
          "li",
          { class: index === here ? "current" : null },
          chosen.box(event.id, `${words(event.label)}, ${event.camera}, ${when(event.start_time)}`),
          el(
            "button",
            { onclick: () => open(index), "aria-current": index === here ? "true" : null },
            event.snapshot
              ? el("img", { src: event.snapshot, alt: "", loading: "lazy" })
              : el("span", { class: "noimg" }),
            el(
              "span",
              { class: "what" },
              el("b", {}, words(event.label)),
              el("small", {}, `${event.camera} · ${when(event.start_time)}`),
            ),
            verdictTag(event),
          ),
        ),
      ),
    );
    chosen.show();
    root.querySelector(".review").classList.toggle("nothing", !events.length);
  }
  function open(index) {
    here = Math.min(Math.max(index, 0), events.length - 1);
    for (const [place, item] of [...queue.children].entries()) {
      item.classList.toggle("current", place === here);
      item.querySelector("button").toggleAttribute("aria-current", place === here);
    }
    const item = queue.children[here];
    if (item) queue.scrollTo({ top: item.offsetTop - queue.clientHeight / 2 + item.clientHeight / 2 });
    if (here < 0) {
      video = null;
      const filtered = filter.camera || filter.category || filter.day || !["", "none"].includes(filter.review);
      stage.replaceChildren(
        filtered
          ? empty("No event fits", "Choose other filters above.")
          : empty(
              filter.review ? "Nothing to review" : "No events yet",
              "New events show here by themselves." + (filter.review ? " What was reviewed stands under Reviewed." : ""),
            ),
      );
      return;
    }
    draw(events[here]);
    loadAhead([events[here + 1]]);
    if (here + SOON >= events.length && !more.hidden && !loading) {
      loading = true;
      load(true).finally(() => (loading = false));
    }
  }
  const draw = (event) => {
    const undoing = undoable.at(-1)?.text;
    const pressed = stage.contains(document.activeElement) && document.activeElement.matches(":focus-visible"),
      key = pressed && document.activeElement.getAttribute("aria-keyshortcuts");
    const camera = cameras.find((one) => one.name === event.camera);
    video = drawEvent(stage, event, { say, relabel: () => relabel(), undo, undoable: undoing && `Undo: ${undoing}` }, camera);
    if (key) stage.querySelector(`[aria-keyshortcuts="${key}"]`)?.focus(); // who goes on by keyboard stays on the button
  };
  const say = (verdict, category = null) => events[here] && give([events[here]], verdict, category);

  /** One after another: an undo right after a verdict takes that one back. */
  let working = Promise.resolve();
  const inTurn = (work) => (working = working.then(work));
  const give = (...said) => inTurn(() => giveNow(...said));
  const undo = () => inTurn(undoNow);

  /** A verdict on one event, or on those that are chosen; then on to the next. */
  async function giveNow(which, verdict, category = null, note = null) {
    if (!which.length) return;
    const ids = which.map((event) => event.id),
      alone = which.length === 1;
    try {
      const said = { verdict, category, note: note ?? (alone ? noteOf(which[0]) : "") };
      const found = alone
        ? [await api(`/events/${ids[0]}/reviews`, { method: "POST", body: said })]
        : (await api("/events/reviews", { method: "POST", body: { ...said, events: ids } })).events;
      const text = `${SAYS[verdict]}${category ? " as " + words(category) : ""}${alone ? "" : `: ${found.length} events`}.`;
      undoable.push({ numbers: found.map((event) => event.review.number), text });
      ids.forEach(noteSent);
      put(found);
      toast(text);
      if (!alone) chosen.none();
      drawQueue();
      const on = ids.includes(events[here]?.id);
      open(on && alone && here + 1 < events.length ? here + 1 : here);
    } catch (error) {
      toast(error.message, "bad");
    }
  }
  async function undoNow() {
    const last = undoable.pop();
    if (!last) return;
    try {
      const { events: found } = await api("/events/reviews/undo", { method: "POST", body: { reviews: last.numbers } });
      put(found);
      toast(`Taken back: ${last.text}`);
      drawQueue();
      const place = events.findIndex((event) => event.id === found[0]?.id);
      open(place >= 0 ? place : here);
    } catch (error) {
      toast(error.message, "bad");
      if (events[here]) draw(events[here]);
    }
  }
  function put(found) {
    const now = new Map(found.map((event) => [event.id, event]));
    events = events.map((event) => now.get(event.id) ?? event);
  }
  async function relabel(which = events.slice(here, here + 1)) {
    const [event] = which;
    if (!event) return;
    const known = [...new Set([...categories, ...Object.keys(event.probabilities)])];
    const given = await ask(
      which.length === 1 ? "What was it?" : `What were these ${which.length}?`,
      [
        field(
          "Category",
          el("input", {
            name: "category",
            list: "categories",
            required: true,
            maxlength: 100,
            value: event.label,
            autocomplete: "off",
          }),
          "one of the model's, or a new one",
        ),
        el(
          "datalist",
          { id: "categories" },
          known.map((name) => el("option", { value: name })),
        ),
        field("Note", el("input", {
            name: "note",
            maxlength: 2000,
            autocomplete: "off",
            value: which.length === 1 ? noteOf(event) : "",
          })),
      ],
      { submit: "Relabel" },
    );
    if (given) give(which, "relabelled", given.get("category").trim(), given.get("note"));
  }

  await load();
  const replace = (event) => {
    const place = events.findIndex((one) => one.id === event.id);
    if (place >= 0) {
      const before = events[place];
      events[place] = event;
      drawQueue();
      const said = JSON.stringify(before.review) !== JSON.stringify(event.review) || before.clip !== event.clip || before.state !== event.state;
      if (place === here && said && !stage.contains(document.activeElement)) draw(event);
    }
  };
  let timer = 0;
  const arrived = (message) => {
    if (message.kind === "update") return;
    clearTimeout(timer); // clips are stored a moment after the event's end
    timer = setTimeout(async () => {
      try {
        const event = await api("/events/" + message.event_id);
        if (events.some((one) => one.id === event.id)) replace(event);
        else if (
          (!filter.camera || filter.camera === event.camera) &&
          (!filter.category || filter.category === event.label) &&
          !filter.day &&
          ["none", ""].includes(filter.review)
        ) {
          events.unshift(event);
          here += 1;
          drawQueue();
          if (events.length === 1) open(0);
        }
      } catch {
        /* not stored yet: the next message brings it */
      }
    }, 1200);
  };
  const ends = [
    on("event", arrived),
    on("review", ({ event }) => replace(event)),
    bind([
      ["j", "next event", () => open(here + 1)],
      ["k", "previous event", () => open(here - 1)],
      ["c", "confirm", () => say("confirmed")],
      ["d", "dismiss", () => say("dismissed")],
      ["r", "relabel", () => relabel()],
      ["s", "unsure: for somebody else, or for later", () => say("unsure")],
      ["n", "write a note", () => stage.querySelector(".note-field")?.focus()],
      ["u", "undo the last verdict", undo],
      ["x", "choose the event, for many at once", () => events[here] && chosen.toggle(events[here].id)],
      ["C", "confirm those that are chosen", () => give(marked(), "confirmed")],
      ["D", "dismiss those that are chosen", () => give(marked(), "dismissed")],
      [" ", "play or pause", () => video && (video.paused ? video.play() : video.pause())],
      ["ArrowLeft", "a second back", () => seek(-1)],
      ["ArrowRight", "a second on", () => seek(1)],
      ["f", "full screen", () => video?.requestFullscreen?.()],
    ]),
  ];
  const seek = (seconds) => {
    if (video) video.currentTime = Math.max(0, video.currentTime + seconds);
  };
  return () => {
    clearTimeout(timer);
    loadAhead([]);
    ends.forEach((end) => end());
  };
}
