// Adding and editing a camera: its addresses are looked at before they are saved. What is known of its login is not shown.

import { api } from "./api.js";
import { el, field, toast } from "./dom.js";

const bare = (shown) => (shown || "").replace(/^([a-z]+:\/\/)\*{3}@/, "$1");
const KINDS = {
  login: "Wrong user name or password",
  path: "No such stream",
  refused: "Nothing listens there",
  route: "No way to this host",
  host: "Unknown host",
  timeout: "No answer",
  protocol: "It speaks another language",
  certificate: "Another certificate",
  address: "Not an address yet",
};

/** A dialog to add a camera, or to edit `camera`; resolves to what the service answered, or null where it was left. */
export function editCamera(camera = null) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "card dialog wide", "aria-labelledby": "camera-title" });
    const name = el("input", { name: "name", required: true, maxlength: 64, autocomplete: "off", placeholder: "front door" });
    const address = (value, required, placeholder) =>
      el("input", { value: bare(value), required, spellcheck: false, autocomplete: "off", autocapitalize: "off", placeholder });
    const source = address(camera?.source, true, "rtsp://10.0.0.5/small"),
      main = address(camera?.main, false, "rtsp://10.0.0.5/large"),
      username = el("input", { autocomplete: "off", maxlength: 200, placeholder: camera?.login ? "as it is" : "" }),
      password = el("input", { type: "password", autocomplete: "new-password", maxlength: 200, placeholder: camera?.login ? "••••••" : "" }),
      record = el("input", { type: "checkbox", checked: camera?.record || false });
    const save = el("button", { type: "submit", class: "tool primary" }, camera ? "Save" : "Add"),
      test = el("button", { type: "button", class: "tool", onclick: look }, "Test"),
      trouble = el("p", { class: "trouble", role: "alert" }),
      seen = el("div", { class: "camera-seen", "aria-live": "polite" });
    const form = el(
      "form",
      {},
      el("h2", { id: "camera-title" }, camera ? `Edit ${camera.name}` : "Add a camera"),
      el(
        "div",
        { class: "camera-form" },
        el(
          "div",
          {},
          camera ? null : field("Name", name),
          field("Address", source, "what is scored: a small stream is enough. rtsp, rtsps, http or https"),
          field("Stream in full size", main, "for clips, recordings and the large view; without it the one above serves"),
          el(
            "div",
            { class: "two" },
            field("User name", username, camera?.login ? "left empty, it stays" : "where the camera asks for one"),
            field("Password", password, camera?.login ? "never shown; left empty, it stays" : null),
          ),
          el("label", { class: "check" }, record, el("span", {}, "Record all the time")),
        ),
        seen,
      ),
      trouble,
      el(
        "p",
        { class: "actions" },
        test,
        el("span", { class: "spring" }),
        el("button", { type: "button", class: "tool", onclick: () => dialog.close() }, "Cancel"),
        save,
      ),
    );
    let given = null;

    const login = () => ({ username: username.value || null, password: password.value || null });

    async function look() {
      if (!source.reportValidity()) return;
      test.disabled = true;
      trouble.textContent = "";
      const wanted = [["What is scored", source]];
      if (main.value.trim()) wanted.push(["In full size", main]);
      const cards = wanted.map(([title]) => el("figure", { class: "looking" }, el("div", { class: "blank" }, "Looking…"), el("figcaption", {}, el("b", {}, title))));
      seen.replaceChildren(...cards);
      await Promise.all(wanted.map(([title, input], place) => lookAt(cards[place], title, input)));
      test.disabled = false;
    }

    async function lookAt(card, title, input) {
      const body = { source: input.value.trim(), ...login() };
      if (camera) body.camera = camera.name;
      try {
        const answer = await api("/cameras/test", { method: "POST", body });
        card.replaceWith(answer.seen ? pictured(title, answer.seen) : refused(title, answer, input));
      } catch (error) {
        card.replaceWith(refused(title, { error: error.message }, input));
      }
    }

    function pictured(title, { codec, width, height, rate_hz, kbit_s, picture, fluent }) {
      const rate = `${rate_hz.toFixed(rate_hz < 10 ? 1 : 0)} pictures a second`,
        flow = kbit_s < 1000 ? `${Math.round(kbit_s)} kbit/s` : `${(kbit_s / 1000).toFixed(1)} Mbit/s`;
      return el(
        "figure",
        { class: "looked" },
        el("img", { src: `data:image/jpeg;base64,${picture}`, alt: `Picture: ${title}` }),
        el(
          "figcaption",
          {},
          el("b", {}, title),
          el("span", {}, `${codec === "h264" ? "H.264" : codec === "hevc" ? "HEVC" : codec}, ${width} × ${height}`),
          el("span", {}, `${rate}, ${flow}`),
          fluent ? null : el("span", { class: "note" }, "The large view shows single pictures: browsers play H.264 alone as it comes."),
        ),
      );
    }

    function refused(title, { kind, error, suggestion }, input) {
      const take = suggestion
        ? el(
            "button",
            {
              type: "button",
              class: "tool",
              onclick: () => {
                input.value = suggestion;
                look();
              },
            },
            `Use ${suggestion.replace(/\/\/[^/]*@/, "//")}`,
          )
        : null;
      return el(
        "figure",
        { class: "refused" },
        el("div", { class: "blank" }, KINDS[kind] || "No picture"),
        el("figcaption", {}, el("b", {}, title), el("span", { class: "trouble" }, error), take),
      );
    }

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      save.disabled = true;
      trouble.textContent = "";
      try {
        given = camera ? await change() : await add();
        dialog.close();
      } catch (error) {
        trouble.textContent = error.message;
      }
      save.disabled = false;
    });

    function add() {
      const body = { name: name.value, source: source.value.trim(), record: record.checked, ...login() };
      if (main.value.trim()) body.main = main.value.trim();
      return api("/cameras", { method: "POST", body: said(body) });
    }
    function change() {
      const body = said(login());
      if (source.value.trim() !== bare(camera.source)) body.source = source.value.trim();
      if (main.value.trim() !== bare(camera.main)) body.main = main.value.trim() || null;
      if (record.checked !== camera.record) body.record = record.checked;
      return api(`/cameras/${encodeURIComponent(camera.name)}`, { method: "PATCH", body });
    }

    dialog.append(form);
    dialog.addEventListener("close", () => {
      resolve(given);
      dialog.remove();
      if (given && camera) toast(`${camera.name} is opened anew.`);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

const said = (body) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
