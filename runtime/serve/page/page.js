"use strict";

// The page sends one photograph at a time, asks how far it is, and shows what comes back.

const part = (id) => document.getElementById(id);
const POLL = 400; // milliseconds
const urls = new Map(); // object URLs by the element that shows them
const STAGES = {
  start: "Getting ready",
  "neural average": "Taking a first look",
  "motion network": "Looking for motion",
  "blur kernel": "Finding out how the camera moved",
  kernel: "Finding out how the camera moved",
  "kernel network": "Finding out how the camera moved",
  poses: "Finding out how the camera turned",
  deconvolve: "Removing the blur",
};
const REASONS = {
  empty: "nothing of it can be seen",
  flat: "all of it has the same colour",
  "not-blurred": "it looks sharp already",
  unclear: "it is too uncertain how the camera moved",
  "not-uniform": "different parts of it are blurred in different ways",
  scattered: "what is known of it lies too far apart to show how it is blurred",
  "not-sparser": "no motion of the camera was found that explains the blur",
  "no-gain": "removing the blur that was found would not have made it better",
  "no-motion": "no motion was found in it",
  "motion-uncertain": "it is too uncertain how the camera moved",
};
const BRIGHTNESS = { linear: "as it is stored", srgb: "as cameras store it (sRGB)" };
const FAINT = 26; // of 255: below it a kernel counts as dark
let photograph = null;
let began = 0;
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

function choose(files) {
  const file = files[0];
  if (!file) return;
  if (running) {
    complain("A photograph is in work: cancel it first, or wait.");
    return;
  }
  photograph = file;
  part("chosen").textContent = `${file.name || "a pasted picture"}, ${size(file.size)}`;
  part("restore").disabled = false;
  part("result").hidden = true;
  complain(files.length > 1 ? "One photograph at a time: this is the first of them." : "");
  say("");
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
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
    const words = STAGES[state.stage] || "Working";
    if (state.fraction < 1) {
      bar.value = state.fraction;
      say(`${words}: ${Math.round(100 * state.fraction)}\u00a0%`);
    } else {
      bar.removeAttribute("value"); // the next step has begun, and says nothing yet
      say(`${words} …`);
    }
  } else if (state.state === "queued") {
    bar.removeAttribute("value");
    say(state.ahead ? `Waiting: ${state.ahead} before you` : "Waiting for a place");
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
    const isCancelled = error.name === "AbortError";
    say(isCancelled ? "Cancelled." : "");
    complain(isCancelled ? "" : "The service cannot be reached, or its answer cannot be read. Try again.");
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
    say("Sending the photograph");
    began = performance.now();
  }
}

function present(parts, report) {
  const image = parts.get("image");
  const isUnchanged = Boolean(report.code);
  const after = show("after", image);
  part("result-title").textContent = isUnchanged ? "Left as it was" : "Before and after";
  part("compare").hidden = part("keep").hidden = isUnchanged;
  part("hidden-picture").hidden = true;
  if (!isUnchanged) {
    const unseen = () => {
      part("compare").hidden = part("actual").hidden = true;
      part("hidden-picture").hidden = false;
    };
    for (const [id, url] of [["after", after], ["before", show("before", photograph)]]) {
      part(id).onerror = unseen;
      part(id).src = url;
    }
    actual(false);
    split(50);
  }
  const kernel = parts.get("kernel");
  part("kernel-figure").hidden = !kernel || isUnchanged;
  if (kernel && !isUnchanged) draw(kernel);
  const download = part("download");
  download.href = after;
  download.download = newName(photograph.name, report.format);
  list(report);
  part("result").hidden = false;
  say(isUnchanged ? `Left as it was: ${reason(report)}.` : "Done.");
  part("status").scrollIntoView({ block: "start" });
}

// Shows the part of the kernel that is not dark, a pixel of it as a square.
async function draw(kernel) {
  const bitmap = await createImageBitmap(kernel);
  const { width, height } = bitmap;
  const plane = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
  plane.drawImage(bitmap, 0, 0);
  const values = plane.getImageData(0, 0, width, height).data;
  const [rows, columns] = [[], []];
  for (let at = 0; at < width * height; at++) {
    if (values[4 * at] >= FAINT) {
      rows.push(Math.floor(at / width));
      columns.push(at % width);
    }
  }
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  const [tall, wide] = [Math.max(...rows) - top + 1, Math.max(...columns) - left + 1];
  const side = Math.max(tall, wide) + 4;
  const canvas = part("kernel");
  const context = canvas.getContext("2d");
  context.fillStyle = "#000000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  const [x, y] = [left - Math.floor((side - wide) / 2), top - Math.floor((side - tall) / 2)];
  context.drawImage(bitmap, x, y, side, side, 0, 0, canvas.width, canvas.height);
}

function reason(report) {
  return REASONS[report.code] || report.reason;
}

function newName(name, format) {
  const stem = (name || "photograph").replace(/\.[^.]*$/, "");
  const ending = { jpeg: "jpg", tiff: "tif" }[format.toLowerCase()] || format.toLowerCase();
  return `${stem}.deblurred.${ending}`;
}

function list(report) {
  const likely = report.code ? "that removing it would have been better" : "that this is better than before";
  const facts = {
    "How sure": report.confidence === null ? "" : `${Math.round(100 * report.confidence)} % ${likely}`,
    Why: report.code ? `Left as it was: ${reason(report)}` : "",
    Note: report.warnings.join("; "),
    Size: `${report.width} × ${report.height} pixels`,
    Brightness: report.code ? "" : BRIGHTNESS[report.response] || report.response,
    Time: `${((performance.now() - began) / 1000).toFixed(1)} seconds`,
    Method: report.model,
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

// In actual size only a part of the photograph is in view, and the share is one of that part.
function split(percent) {
  const frame = part("frame");
  part("split").value = percent;
  const isActual = part("result").classList.contains("actual");
  const place = isActual ? `${frame.scrollLeft + (percent / 100) * frame.clientWidth}px` : `${percent}%`;
  part("compare").style.setProperty("--split", place);
}

// Actual size is worth asking for where the photograph is shown smaller than it is.
function fit() {
  const after = part("after");
  const isActual = part("result").classList.contains("actual");
  part("actual").hidden = !isActual && after.naturalWidth <= after.clientWidth;
  split(part("split").value);
}

function actual(whether) {
  part("actual").setAttribute("aria-pressed", whether);
  part("result").classList.toggle("actual", whether);
  fit();
}

part("file").addEventListener("change", (event) => choose(event.target.files));
part("split").addEventListener("input", (event) => split(event.target.value));
part("actual").addEventListener("click", () => actual(part("actual").getAttribute("aria-pressed") === "false"));
part("frame").addEventListener("scroll", () => split(part("split").value));
part("after").addEventListener("load", fit);
window.addEventListener("resize", fit);
part("strength").addEventListener("input", (event) => {
  part("strength-value").textContent = `${Math.round(100 * event.target.value)} %`;
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
document.addEventListener("drop", (event) => choose(event.dataTransfer.files));
document.addEventListener("paste", (event) => choose(event.clipboardData.files));
