// Who is logged in: the form that asks, the button that says so, and what belongs to a login.

import { api } from "./api.js";
import { ask, el, field, svg, toast } from "./dom.js";
import { ago, when } from "./format.js";

const MARK = "M1 13h4l2-3 2 4 3-11 2 10h5",
  PERSON = "M10 10a3.4 3.4 0 1 0 0-6.8 3.4 3.4 0 0 0 0 6.8ZM3.5 17c.7-3 3.2-4.6 6.5-4.6s5.8 1.6 6.5 4.6";

/** What whoever runs the service does about a login that nobody has any more. */
const lost = (people) =>
  el(
    "details",
    {},
    el("summary", {}, people ? "The password or the token is lost" : "The token is lost"),
    people
      ? el(
          "p",
          {},
          "An admin sets another password under System. Where no admin is left, on the machine that runs the service: ",
          el("code", {}, "refinevad users password NAME"),
        )
      : null,
    el(
      "p",
      {},
      "Of the token only its hash is stored, so it cannot be shown again. On the machine that runs the service, delete the token file, have a new one made, and start the service again: ",
      el("code", {}, "refinevad serve --token-file FILE --make-token"),
    ),
    el("p", {}, "The new one is shown once. Cameras, events and reviews stay; the old one opens nothing any more."),
  );

/** The form; `done` is handed the session. */
export function loginForm({ people, message = "", done }) {
  const trouble = el("p", { class: "trouble", role: "alert" }, message),
    fields = el("div", { class: "fields" }),
    other = el("button", { class: "plain-button", type: "button", hidden: !people, onclick: () => show(!byName) });
  let byName = people;
  const input = (name, type, autocomplete) =>
    el("input", { type, name, required: true, autocomplete, spellcheck: false, autocapitalize: "none" });
  function show(named) {
    byName = named;
    fields.replaceChildren(
      ...(named
        ? [
            field("Name", input("name", "text", "username")),
            field("Password", input("password", "password", "current-password")),
          ]
        : [
            field(
              "Token",
              input("token", "password", people ? "off" : "current-password"),
              "It was shown once, when the service's token file was made.",
            ),
          ]),
    );
    other.textContent = named ? "Log in with the service's token" : "Log in with name and password";
    fields.querySelector("input").focus();
  }
  const form = el(
    "form",
    { class: "card login" },
    el("h1", { class: "brand" }, svg(MARK), el("b", {}, "refinevad")),
    fields,
    trouble,
    el("button", { class: "tool primary", type: "submit" }, "Log in"),
    other,
    lost(people),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      done(await api("/session", { method: "POST", body: Object.fromEntries(new FormData(form)) }));
    } catch (error) {
      trouble.textContent = error.message;
      form.querySelector("[type=password]").select();
    }
  });
  show(people);
  return { form, focus: () => fields.querySelector("input").focus() };
}

/** The button in the bar; nothing where nobody has to log in. */
export const accountButton = (session, logOut) =>
  session?.needed && session.open
    ? el(
        "button",
        {
          class: "tool account",
          onclick: () => showAccount(session, logOut),
          "aria-label": session.user ? `Account of ${session.user}` : "Account",
          title: session.user ? `${session.user}, ${session.role}` : "Logged in by the token",
        },
        svg(PERSON),
        el("span", {}, session.user || "Token"),
      )
    : null;

async function showAccount(session, logOut) {
  const list = el("ul", { class: "logins" });
  const dialog = el(
    "dialog",
    { class: "card dialog", "aria-labelledby": "account-title" },
    el("h2", { id: "account-title" }, session.user || "By the service's token"),
    el("p", { class: "note" }, `Role: ${session.role}`),
    el("h3", {}, "Where you are logged in"),
    list,
    el(
      "p",
      { class: "actions" },
      session.user ? el("button", { class: "tool", onclick: () => changePassword(dialog) }, "Change password") : null,
      el(
        "button",
        {
          class: "tool",
          onclick: () => {
            dialog.close();
            logOut();
          },
        },
        "Log out",
      ),
      el("button", { class: "tool primary", autofocus: true, onclick: () => dialog.close() }, "Close"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  const load = async () => {
    try {
      list.replaceChildren(...(await api("/logins")).map((login) => loginRow(login, load)));
    } catch (error) {
      list.replaceChildren(el("li", { class: "trouble" }, error.message));
    }
  };
  load();
}

/** A browser that is logged in, with the button that ends it. */
export const loginRow = (login, changed, named = false) =>
  el(
    "li",
    {},
    el(
      "span",
      { class: "what" },
      el("b", {}, `${named ? `${login.user || "token"} · ` : ""}${browserOf(login.agent)}`),
      el("small", { title: login.agent }, `${login.address} · since ${when(login.opened)} · seen ${ago(login.seen)}`),
    ),
    login.mine
      ? el("span", { class: "tag done" }, "this one")
      : el(
          "button",
          {
            class: "tool",
            "aria-label": `End the login from ${login.address}, ${browserOf(login.agent)}`,
            onclick: async (event) => {
              event.target.disabled = true;
              try {
                await api(`/logins/${login.id}`, { method: "DELETE" });
              } catch (error) {
                toast(error.message, "bad");
              }
              changed();
            },
          },
          "End",
        ),
  );

/** A browser's own name out of what it says of itself. */
function browserOf(agent) {
  const known = [
    ["Edg", "Edge"],
    ["OPR", "Opera"],
    ["Firefox", "Firefox"],
    ["Chrome", "Chrome"],
    ["Safari", "Safari"],
  ].find(([mark]) => agent.includes(mark + "/"));
  const system = ["Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux"].find((name) => agent.includes(name));
  return known ? known[1] + (system ? ` on ${system.replace(" OS X", "")}` : "") : agent.split(" ")[0] || "a program";
}

async function changePassword(dialog) {
  dialog.close();
  const password = (name, autocomplete) =>
    el("input", { type: "password", name, required: true, autocomplete, maxlength: 200 });
  const changed = await ask(
    "Another password",
    [
      field("The one so far", password("old", "current-password")),
      field("The new one", password("new", "new-password"), "10 letters at least; several words are easy to keep in mind"),
      field("Once more", password("again", "new-password")),
    ],
    {
      submit: "Change",
      text: "Your other logins end.",
      act: async (form) => {
        if (form.get("new") !== form.get("again")) throw new Error("The two new ones differ.");
        await api("/session/password", { method: "PUT", body: { old: form.get("old"), new: form.get("new") } });
      },
    },
  );
  if (changed) toast("You have another password.");
}
