"use strict";

// The page sends one photograph at a time, asks how far it is, and shows what comes back.

const part = (id) => document.getElementById(id);
const POLL = 400; // milliseconds
const urls = new Map(); // object URLs by the element that shows them
let photograph = null;
let running = null; // the AbortController of the request in work

function say(text) {
  part("status").textContent = text;
}

function complain(text) {
  part("error").textContent = text;
}

function show(id, blob) {
  if (urls.has(id)) URL.revokeObjectURL(urls.get(id));
  const url = URL.createObjectURL(blob);
  urls.set(id, url);
  return url;
}

function choose(file) {
  if (!file) return;
  if (running) {
    complain("A photograph is in work: cancel it first, or wait.");
    return;
  }
  photograph = file;
  part("chosen").textContent = file.name || "a pasted picture";
  part("restore").disabled = false;
  part("result").hidden = true;
  complain("");
  say("");
}

function headers() {
  const token = part("token").value;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function identifier() {
  // crypto.randomUUID is missing where the page has come over plain HTTP from another host.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function ask(id, signal) {
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, POLL));
    try {
      const answer = await fetch(`/v1/requests/${id}`, { headers: headers(), signal });
      if (answer.ok) describe(await answer.json());
    } catch {
      return; // the request itself says what is wrong
    }
  }
}

function describe(state) {
  const bar = part("progress");
  if (state.state === "running" && state.stage) {
    bar.value = state.fraction;
    say(`${state.stage}: ${Math.round(100 * state.fraction)} %`);
  } else if (state.state === "queued") {
    bar.removeAttribute("value");
    say(state.ahead ? `waiting for ${state.ahead} others` : "waiting");
  }
}

async function words(answer) {
  try {
    return (await answer.json()).detail || answer.statusText;
  } catch {
    return `the service answered ${answer.status} ${answer.statusText}`;
  }
}

async function restore() {
  const control = new AbortController();
  const id = identifier();
  const form = new FormData();
  form.append("image", photograph);
  for (const name of ["quality", "strength", "response"]) form.append(name, part(name).value);
  working(control);
  const asking = new AbortController();
  try {
    ask(id, asking.signal);
    const answer = await fetch("/v1/deblur", {
      method: "POST",
      body: form,
      headers: { Accept: "multipart/form-data", "X-Request-ID": id, ...headers() },
      signal: control.signal,
    });
    if (answer.ok) {
      const parts = await answer.formData();
      present(parts, JSON.parse(await textOf(parts.get("report"))));
    } else {
      if (answer.status === 401) {
        part("access").hidden = false;
        part("token").focus();
      }
      say("");
      complain(await words(answer));
    }
  } catch (error) {
    say("");
    const unreachable = "The service cannot be reached, or its answer cannot be read.";
    complain(error.name === "AbortError" ? "Cancelled." : unreachable);
  } finally {
    asking.abort();
    working(null);
  }
}

function textOf(value) {
  return typeof value === "string" ? value : value.text();
}

function working(control) {
  running = control;
  part("working").hidden = part("cancel").hidden = !control;
  part("restore").disabled = Boolean(control);
  if (control) {
    part("result").hidden = true;
    part("progress").removeAttribute("value");
    complain("");
    say("sending");
  }
}

function present(parts, report) {
  const image = parts.get("image");
  const after = show("after", image);
  const unseen = () => {
    part("compare").hidden = true;
    part("hidden-picture").hidden = false;
  };
  part("compare").hidden = false;
  part("hidden-picture").hidden = true;
  for (const [id, url] of [["after", after], ["before", show("before", photograph)]]) {
    part(id).onerror = unseen;
    part(id).src = url;
  }
  split(50);
  const kernel = parts.get("kernel");
  part("kernel-figure").hidden = !kernel || Boolean(report.code);
  if (kernel) part("kernel").src = show("kernel", kernel);
  const download = part("download");
  download.href = after;
  download.download = newName(photograph.name, report.format);
  list(report);
  part("result").hidden = false;
  say(report.code ? `Unchanged: ${report.reason}.` : "Done.");
}

function newName(name, format) {
  const stem = (name || "photograph").replace(/\.[^.]*$/, "");
  const ending = { jpeg: "jpg", tiff: "tif" }[format.toLowerCase()] || format.toLowerCase();
  return `${stem}.deblurred.${ending}`;
}

function list(report) {
  const seconds = Object.entries(report.timings).map(([stage, time]) => `${stage} ${time.toFixed(1)}`);
  const facts = {
    Size: `${report.width} × ${report.height} px`,
    Confidence: report.confidence === null ? "" : `${Math.round(100 * report.confidence)} %`,
    Reason: report.reason,
    "Tone curve": report.response,
    Seconds: seconds.join(", "),
    Model: report.model,
  };
  const rows = part("report");
  rows.replaceChildren();
  for (const [name, value] of Object.entries(facts)) {
    if (!value) continue;
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    rows.append(term, text);
  }
}

function split(percent) {
  part("split").value = percent;
  part("compare").style.setProperty("--split", `${percent}%`);
}

part("file").addEventListener("change", (event) => choose(event.target.files[0]));
part("split").addEventListener("input", (event) => split(event.target.value));
part("strength").addEventListener("input", (event) => {
  part("strength-value").textContent = event.target.value;
});
part("cancel").addEventListener("click", () => running && running.abort());
part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (photograph && !running) restore();
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    part("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    part("drop").classList.remove("over");
  });
}
document.addEventListener("drop", (event) => choose(event.dataTransfer.files[0]));
document.addEventListener("paste", (event) => choose(event.clipboardData.files[0]));
