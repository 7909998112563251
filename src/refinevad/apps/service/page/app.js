// The shell: who may look, which view is shown, and whether the link to the service is up.

import { accountButton, loginForm } from "./account.js";
import { api, onLoggedOut } from "./api.js";
import { el, svg, toast } from "./dom.js";
import { showHelp } from "./keys.js";
import { connect, disconnect, on } from "./socket.js";
import { words } from "./format.js";

const VIEWS = { cameras: "Cameras", timeline: "Timeline", review: "Review", analyse: "Analyse", system: "System" };
const view = document.getElementById("view"),
  bar = document.getElementById("bar"),
  linkState = document.getElementById("link-state");
let leave = () => {},
  turn = 0,
  session = null,
  watching = null;

/** #/timeline?camera=door -> ["timeline", [], URLSearchParams] */
function place() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decodeURIComponent);
  return [name in VIEWS ? name : "cameras", rest, new URLSearchParams(query)];
}

async function show() {
  const mine = ++turn,
    [name, rest, query] = place();
  leave();
  leave = () => {};
  document.title = `${VIEWS[name]} – refinevad`;
  drawBar(name);
  try {
    const module = await import(`./${name}.js`);
    if (mine !== turn) return;
    view.replaceChildren();
    const left = await module.show(view, { rest, query, session });
    if (mine === turn) leave = left || leave;
    else left?.();
  } catch (error) {
    if (mine === turn && error.status !== 401)
      view.replaceChildren(
        el(
          "div",
          { class: "empty card", role: "alert" },
          el("h3", {}, "This could not be shown"),
          el("p", {}, error.message),
          el(
            "p",
            { class: "actions" },
            el("button", { class: "tool", onclick: show }, "Try again"),
            rest.length ? el("a", { class: "tool", href: "#/" + name }, `Go to ${VIEWS[name]}`) : null,
          ),
        ),
      );
  }
}

function drawBar(current) {
  const links = Object.entries(VIEWS).map(([name, title]) =>
    el("a", { href: "#/" + name, "aria-current": name === current ? "page" : null }, title),
  );
  bar.replaceChildren(
    el(
      "a",
      { class: "brand", href: "#/cameras", "aria-label": "refinevad, cameras" },
      svg("M1 13h4l2-3 2 4 3-11 2 10h5"),
      el("b", {}, "refinevad"),
    ),
    el("nav", { "aria-label": "Views" }, links),
    el(
      "div",
      { class: "bar-tools" },
      el(
        "button",
        { class: "tool help", onclick: showHelp, "aria-label": "Show the keyboard's keys", title: "Keys (?)" },
        "?",
      ),
      accountButton(session, logOut),
    ),
  );
  bar.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function logIn(message = "") {
  turn++;
  leave();
  leave = () => {};
  disconnect();
  linkState.hidden = true;
  bar.replaceChildren();
  document.title = "Log in – refinevad";
  delete document.documentElement.dataset.role;
  const { form, focus } = loginForm({
    people: Boolean(session?.people),
    message,
    done: (opened) => {
      session = opened;
      start();
    },
  });
  view.replaceChildren(form);
  focus();
}

async function logOut() {
  await api("/session", { method: "DELETE" });
  session = await api("/session");
  if (session.open) start(); // a proxy vouches for them still
  else logIn();
}

function start() {
  document.documentElement.dataset.role = session.role; // what it may not do is not offered: review.css
  connect();
  lookAfterTroubles();
  watching ??= setInterval(lookAfterTroubles, 15_000);
  show();
}

/** Above every view: that the link is down, or else why events cannot be kept. */
let linked = true,
  troubles = [];
function sayState() {
  linkState.textContent = linked
    ? troubles.join(". ")
    : "Connection lost. Trying again; what is shown may be out of date.";
  linkState.hidden = !linkState.textContent || (session?.needed && !session.open);
}
async function lookAfterTroubles() {
  try {
    troubles = (await (await fetch("/readyz")).json()).reasons;
  } catch {
    return; // the link says so
  }
  sayState();
}

on("link", ({ up }) => {
  linked = up;
  sayState();
  if (!up)
    api("/session")
      .then((now) => {
        if (now.open) return;
        session = now;
        logIn("You were logged out. Log in again.");
      })
      .catch(() => {});
});
on("event", (event) => {
  if (event.kind === "new")
    toast(`${event.camera}: ${words(event.after.category)}, score ${event.after.peak.toFixed(2)}`, "alarm");
});

const ailing = new Map(); // what was said to be wrong with each camera
on("hello", ({ cameras }) => cameras.forEach(({ name, health }) => ailing.set(name, new Set(health.map((one) => one.name)))));
on("state", ({ camera, health }) => {
  const before = ailing.get(camera) || new Set();
  for (const { name, text } of health) if (!before.has(name)) toast(`${camera}: ${text}`, "bad");
  ailing.set(camera, new Set(health.map((one) => one.name)));
});

onLoggedOut(() => logIn("Log in to go on."));
addEventListener("hashchange", () => {
  if (!session || session.open) show().then(() => view.focus({ preventScroll: true }));
});

(async () => {
  try {
    session = await api("/session");
  } catch (error) {
    view.replaceChildren(
      el(
        "div",
        { class: "empty card", role: "alert" },
        el("h3", {}, "The service does not answer"),
        el("p", {}, error.message),
        el("p", { class: "actions" }, el("button", { class: "tool", onclick: () => location.reload() }, "Try again")),
      ),
    );
    return;
  }
  if (session.open) start();
  else logIn();
})();
