// Small helpers to build elements. Text always goes in as text: nothing that came from outside is ever parsed as HTML.

/** el("button", { class: "tool", onclick: f, "aria-label": "…" }, child, "text") */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style")
      Object.assign(node.style, value); // by script, as the policy allows
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const svg = (path, label) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", "svg"),
    line = document.createElementNS(node.namespaceURI, "path");
  node.setAttribute("viewBox", "0 0 20 20");
  node.setAttribute("class", "icon");
  if (label) {
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", label);
  } else node.setAttribute("aria-hidden", "true");
  line.setAttribute("d", path);
  node.append(line);
  return node;
};

/** What to show where there is nothing: what it is, and what to do. */
export const empty = (title, text, ...actions) =>
  el(
    "div",
    { class: "empty card" },
    el("h3", {}, title),
    el("p", {}, text),
    actions.length ? el("p", { class: "actions" }, ...actions) : null,
  );

let toasts;
export function toast(text, kind = "") {
  toasts ||= document.getElementById("toasts");
  const node = el("div", { class: "toast " + kind }, text);
  toasts.append(node);
  setTimeout(() => node.remove(), kind === "bad" ? 9000 : 4500);
}

/**
 * A modal dialog with a form; resolves to its FormData, or null when it was left. With `act`, an async function of the
 * FormData, it stays open and says why when that fails, so that nothing has to be typed again.
 */
export function ask(title, fields, { submit = "OK", danger = false, text = "", act = null } = {}) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "card dialog", "aria-labelledby": "dialog-title" });
    const send = el("button", { type: "submit", class: danger ? "tool primary danger" : "tool primary" }, submit);
    const cancel = el("button", { type: "button", class: "tool", onclick: () => dialog.close() }, "Cancel");
    const trouble = el("p", { class: "trouble", role: "alert" });
    const form = el(
      "form",
      {},
      el("h2", { id: "dialog-title" }, title),
      text ? el("p", { class: "note" }, text) : null,
      ...fields,
      trouble,
      el("p", { class: "actions" }, cancel, send),
    );
    let given = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const data = new FormData(form);
      send.disabled = true;
      trouble.textContent = "";
      try {
        await act?.(data);
        given = data;
        dialog.close();
      } catch (error) {
        trouble.textContent = error.message;
      }
      send.disabled = false;
    });
    dialog.append(form);
    dialog.addEventListener("close", () => {
      resolve(given);
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const field = (label, input, hint) =>
  el("label", { class: "field" }, el("span", {}, label), input, hint ? el("small", {}, hint) : null);
