// Who may come in, which browsers are logged in, and who changed what: for admins, under System.

import { loginRow } from "./account.js";
import { api } from "./api.js";
import { ask, el, field, toast } from "./dom.js";
import { when } from "./format.js";

const ROLES = {
  viewer: "looks",
  reviewer: "says what events were",
  admin: "changes everything",
};
const SHOWN = 12;

/** The sections, filled as what they show comes; nothing for who is no admin. */
export function peopleSections(session) {
  if (session?.role !== "admin") return [];
  const users = el("ul", { class: "people rows card" }),
    logins = el("ul", { class: "logins rows card" }),
    changes = el("ol", { class: "changes rows card" }),
    head = (id, text, ...more) => el("div", { class: "section-head" }, el("h2", { id }, text), ...more);
  const fill = async (list, path, row) => {
    try {
      const found = await api(path);
      const rows = (Array.isArray(found) ? found : found.entries).map(row);
      list.replaceChildren(...rows);
      list.hidden = !rows.length;
      return rows.length;
    } catch (error) {
      list.replaceChildren(el("li", { class: "trouble" }, error.message));
      return 0;
    }
  };
  const none = el("p", { class: "note", hidden: true });
  const loadUsers = async () => {
    none.hidden = Boolean(await fill(users, "/users", (user) => userRow(user, session, loadUsers)));
    none.textContent = session.needed
      ? "Everybody logs in by the one token. Users log in by name, with a role; the token stays for programs."
      : "Nobody has to log in on this machine. Once there is a user, everybody has to.";
  };
  const loadLogins = () => fill(logins, "/logins?everyone=true", (login) => loginRow(login, loadLogins, true));
  loadUsers();
  loadLogins();
  fill(changes, `/audit?limit=${SHOWN}`, changeRow);
  return [
    head(
      "people",
      "People",
      el("button", { class: "tool", onclick: () => addUser(session).then((made) => made && loadUsers()) }, "Add a user"),
    ),
    none,
    users,
    head("logins", "Logged in"),
    logins,
    head("changes", "Who changed what"),
    changes,
  ];
}

function userRow(user, session, changed) {
  const mine = user.name === session.user,
    path = `/users/${encodeURIComponent(user.name)}`;
  const act = async (method, body, said) => {
    try {
      await api(path, { method, body });
      toast(said);
    } catch (error) {
      toast(error.message, "bad");
    }
    changed();
  };
  const role = el(
    "select",
    { "aria-label": `Role of ${user.name}`, onchange: () => act("PATCH", { role: role.value }, `${user.name} is ${role.value} now.`) },
    Object.keys(ROLES).map((name) => el("option", { value: name, selected: name === user.role }, name)),
  );
  return el(
    "li",
    {},
    el(
      "span",
      { class: "what" },
      el("b", {}, user.name, mine ? " (you)" : ""),
      el("small", {}, `${ROLES[user.role]} · ${user.password ? "by password" : "by a proxy alone"} · since ${when(user.added)}`),
    ),
    el(
      "span",
      { class: "tools" },
      role,
      el("button", { class: "tool", onclick: () => setPassword(user.name, act), "aria-label": `Password of ${user.name}` }, "Password"),
      el(
        "button",
        {
          class: "tool apart",
          "aria-label": `Remove ${user.name}`,
          onclick: async () => {
            const sure = await ask(`Remove ${user.name}?`, [], {
              submit: "Remove",
              danger: true,
              text: "Their logins end. What they said of events stays.",
            });
            if (sure) act("DELETE", undefined, `${user.name} is removed.`);
          },
        },
        "Remove",
      ),
    ),
  );
}

const passwordField = (name = "password", text = "Password") =>
  field(
    text,
    el("input", { type: "password", name, required: true, autocomplete: "new-password", maxlength: 200 }),
    "10 letters at least; several words are easy to keep in mind",
  );

async function addUser(session) {
  const users = await api("/users"),
    first = !users.length;
  const given = await ask(
    first ? "The first user" : "Add a user",
    [
      field("Name", el("input", { name: "name", required: true, maxlength: 64, autocomplete: "off", autocapitalize: "none" })),
      field(
        "Role",
        el(
          "select",
          { name: "role" },
          (first ? ["admin"] : Object.keys(ROLES)).map((name) => el("option", { value: name }, `${name}: ${ROLES[name]}`)),
        ),
      ),
      passwordField(),
    ],
    {
      submit: "Add",
      text: first ? "An admin, who can add the others. From then on everybody has to log in." : "",
      act: (form) => api("/users", { method: "POST", body: Object.fromEntries(form) }),
    },
  );
  if (!given) return false;
  toast(`${given.get("name")} can log in.`);
  if (first && !session.needed) location.reload();
  return true;
}

async function setPassword(name, act) {
  const given = await ask(`Another password for ${name}`, [passwordField()], {
    submit: "Set",
    text: "Their logins end.",
  });
  if (given) act("PATCH", { password: given.get("password") }, `${name} has another password.`);
}

function changeRow(entry) {
  const who = entry.user || { bearer: "a program", cookie: "the token", local: "this machine" }[entry.means] || entry.means;
  const detail = Object.entries(entry.detail)
    .filter(([, value]) => value !== null && value !== "" && typeof value !== "object")
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
    .join(", ");
  return el(
    "li",
    {},
    el(
      "span",
      { class: "what" },
      el("b", {}, `${entry.what}${entry.subject ? `: ${entry.subject}` : ""}`),
      el("small", {}, `${who} · ${entry.address} · ${when(entry.time)}${detail ? ` · ${detail}` : ""}`),
    ),
  );
}
