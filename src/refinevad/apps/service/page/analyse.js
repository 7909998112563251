// Recordings: drop one in, follow its analysis, look at what was found.

import { api, upload } from "./api.js";
import { ask, el, empty, toast } from "./dom.js";
import { ago } from "./format.js";
import { bind } from "./keys.js";
import { STATES, showResult } from "./result.js";
import { on } from "./socket.js";

const BUSY = ["sending", "queued", "running"];

export const show = (root, { rest }) => (rest[0] ? showResult(root, rest[0]) : showJobs(root));

async function showJobs(root) {
  const input = el("input", {
    type: "file",
    accept: "video/*,.mkv,.ts,.avi",
    multiple: true,
    class: "hidden",
    id: "file",
    onchange: () => {
      take(input.files);
      input.value = "";
    },
  });
  const zone = el(
    "label",
    {
      class: "drop card",
      "data-needs": "reviewer",
      for: "file",
      tabindex: 0,
      role: "button",
      onkeydown: (event) => {
        if (["Enter", " "].includes(event.key)) {
          event.preventDefault();
          input.click();
        }
      },
    },
    el("b", {}, "Drop a video here"),
    el("span", {}, "or choose a file"),
    input,
  );
  const list = el("ol", { class: "jobs" }),
    rows = new Map(),
    sends = new Set(); // rows of uploads whose job has no number yet
  root.append(
    el(
      "div",
      { class: "head" },
      el(
        "div",
        {},
        el("h1", {}, "Analyse a file"),
        el("p", { class: "kicker" }, "The file stays on the service's machine."),
      ),
    ),
    zone,
    el("h2", {}, "Analyses"),
    list,
  );

  const over = (event) => {
    if ([...event.dataTransfer.types].includes("Files")) {
      event.preventDefault();
      zone.classList.add("over");
    }
  };
  const out = (event) => {
    if (!event.relatedTarget) zone.classList.remove("over");
  };
  const drop = (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take(event.dataTransfer.files);
  };
  addEventListener("dragover", over);
  addEventListener("dragleave", out);
  addEventListener("drop", drop);

  function take(files) {
    for (const file of files) send(file);
  }
  function send(file) {
    const sending = upload(file, (share) => sends.has(row) && set(row, { progress: share }));
    const row = make({ name: file.name, state: "sending", progress: 0 }, () => sending.abort());
    sends.add(row);
    list.prepend(row.node);
    note();
    sending.done.then(
      (job) => {
        if (!rows.has(job.id) && sends.has(row)) adopt(row, job);
        else if (sends.delete(row)) row.node.remove(); // another upload of that name has its place
        update(job);
      },
      (error) => {
        if (!sends.delete(row)) return; // its job is known, and tells how it goes
        if (error.status === -1) row.node.remove();
        else set(row, { state: "failed", error: error.message });
        note();
      },
    );
  }
  function make(job, abort) {
    const row = {
      job: { ...job },
      name: el("b", {}),
      state: el("span", { class: "tag" }),
      bar: el("progress", { max: 1, "aria-label": `Progress of ${job.name}` }),
      text: el("small", { role: "status" }),
      open: el("a", { class: "tool primary" }, "Open"),
      stop: el("button", { class: "tool", "data-needs": "reviewer" }),
    };
    row.stop.addEventListener("click", () =>
      abort && row.job.state === "sending" ? abort() : row.job.id ? drop1(row) : (row.node.remove(), note()),
    );
    row.node = el(
      "li",
      { class: "card job", "data-name": job.name },
      el("div", { class: "what" }, row.name, row.text, row.bar),
      row.state,
      el("div", { class: "tools" }, row.open, row.stop),
    );
    set(row, job);
    return row;
  }
  function set(row, change) {
    Object.assign(row.job, change);
    const { name, state, progress, error, id, created } = row.job,
      busy = BUSY.includes(state);
    row.name.textContent = name;
    row.state.textContent = STATES[state] || "sending";
    row.state.className = "tag " + state;
    row.bar.hidden = !busy;
    if (state === "queued") row.bar.removeAttribute("value");
    else row.bar.value = progress || 0;
    row.text.textContent =
      state === "failed"
        ? error
        : busy
          ? state === "queued"
            ? "waits for its turn"
            : `${Math.round(100 * (progress || 0))} %`
          : created
            ? ago(created)
            : "";
    row.open.hidden = state !== "done";
    row.open.href = `#/analyse/${id}`;
    row.open.setAttribute("aria-label", `Open ${name}`);
    row.stop.textContent = busy ? "Cancel" : "Delete";
    row.stop.setAttribute("aria-label", `${row.stop.textContent} ${name}`);
  }
  async function drop1(row) {
    const busy = ["queued", "running"].includes(row.job.state);
    if (
      !busy &&
      !(await ask(`Delete ${row.job.name}?`, [], {
        submit: "Delete",
        danger: true,
        text: "The analysis and the uploaded file are deleted.",
      }))
    )
      return;
    try {
      if (busy) update(await api(`/jobs/${row.job.id}/cancel`, { method: "POST" }));
      else {
        await api(`/jobs/${row.job.id}`, { method: "DELETE" });
        row.node.remove();
        rows.delete(row.job.id);
        note();
      }
    } catch (error) {
      toast(error.message, "bad");
      load();
    }
  }
  function adopt(row, job) {
    sends.delete(row);
    rows.set(job.id, row);
  }
  function update(job) {
    // the websocket may tell of a job before the answer to its upload is here: the file is shown once
    const sent = rows.has(job.id) ? null : [...sends].find((row) => row.job.name === job.name);
    if (sent) adopt(sent, job);
    const row = rows.get(job.id);
    if (row) {
      // an answer may be older than what the websocket told since; what has ended stays so
      if (BUSY.includes(job.state) && !BUSY.includes(row.job.state)) return;
      set(row, job);
    } else {
      const made = make(job);
      rows.set(job.id, made);
      list.prepend(made.node);
    }
    note();
  }
  function note() {
    list.querySelector(".empty")?.parentElement.remove();
    if (!list.children.length)
      list.append(
        el(
          "li",
          {},
          empty(
            "No analyses yet",
            "Drop a recording above: MP4, MKV, AVI, MPEG and whatever else FFmpeg reads. It is scored as a whole, as refinevad detect does.",
          ),
        ),
      );
  }
  async function load() {
    for (const job of (await api("/jobs")).reverse()) update(job);
    note();
  }
  await load();
  const quietly = () => load().catch(() => {});
  const ends = [
    on("job", ({ job }) => update(job)),
    on("hello", quietly),
    on("missed", quietly),
    bind([["u", "choose a file", () => input.click()]]),
  ];
  return () => {
    ends.forEach((end) => end());
    removeEventListener("dragover", over);
    removeEventListener("dragleave", out);
    removeEventListener("drop", drop);
  };
}
