// Pictures: dropped, pasted or chosen. Each is a request of its own, so that an error stays beside
// its picture; a few are in flight at a time.

import { classify } from "./api.js";
import { bar, element, percent, plural } from "./elements.js";
import { Problem, show } from "./problem.js";

const TOP_K = 5;
const MOST_IN_FLIGHT = 4;

const files = document.getElementById("files");
const drop = document.getElementById("drop");
const clear = document.getElementById("clear");
const status = document.getElementById("images-status");
const progress = document.getElementById("images-progress");
const list = document.getElementById("pictures");

let pictures = [];
let limitBytes = Infinity;
let inFlight = 0;

export function start(configuration) {
  limitBytes = configuration.image_bytes;
  files.addEventListener("change", () => {
    add(files.files);
    files.value = "";  // so that the same file can be chosen again
  });
  clear.addEventListener("click", empty);
  takeDrops();
  document.addEventListener("paste", (event) => {
    if (event.clipboardData === null || event.clipboardData.files.length === 0) return;
    event.preventDefault();
    add(event.clipboardData.files);
  });
}

// Anywhere on the page: beside the frame, the browser would leave the page for the picture.
function takeDrops() {
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
}

function add(chosen) {
  for (const file of chosen) {
    const result = element("div", { className: "result" });
    const words = element(
      "div",
      {},
      element("div", { className: "name", textContent: file.name || "pasted picture" }),
      element("div", { className: "meta", textContent: size(file.size) }),
      result,
    );
    list.append(element("li", {}, thumbnail(file), words));
    pictures.push({ file, result, state: "waiting", abort: new AbortController() });
  }
  next();
}

function empty() {
  for (const picture of pictures) picture.abort.abort();
  pictures = [];
  list.replaceChildren();
  tell();
  files.focus();
}

function next() {
  while (inFlight < MOST_IN_FLIGHT) {
    const picture = pictures.find((each) => each.state === "waiting");
    if (picture === undefined) break;
    send(picture);
  }
  tell();
}

async function send(picture) {
  picture.state = "sent";
  inFlight += 1;
  show(picture.result, null);
  try {
    refuseTooLarge(picture.file);
    const answer = await classify(picture.file, TOP_K, picture.abort.signal);
    picture.result.replaceChildren(labels(answer.predictions));
    picture.state = "done";
  } catch (error) {
    picture.state = "failed";
    if (!picture.abort.signal.aborted) show(picture.result, error, () => again(picture));
  }
  inFlight -= 1;
  next();
}

function again(picture) {
  picture.state = "waiting";
  next();
}

// Here already: a browser that still sends when it is refused does not show why.
function refuseTooLarge(file) {
  if (file.size <= limitBytes) return;
  throw new Problem({
    title: "The picture is too large",
    detail: `It has ${size(file.size)}; ${size(limitBytes)} are allowed.`,
    code: "body_too_large",
    status: 422,
  });
}

function tell() {
  const over = pictures.filter((each) => each.state === "done" || each.state === "failed").length;
  const failed = pictures.filter((each) => each.state === "failed").length;
  const all = pictures.length;
  clear.hidden = all === 0;
  progress.hidden = all === 0 || over === all;
  progress.max = Math.max(1, all);
  progress.value = over;
  const errors = failed === 0 ? "" : `, ${plural(failed, "error")}`;
  status.textContent = all === 0 ? "" : `${over} of ${plural(all, "picture")} done${errors}`;
}

function thumbnail(file) {
  const url = URL.createObjectURL(file);
  const image = element("img", { className: "thumb", alt: "", src: url });
  const revoke = () => URL.revokeObjectURL(url);
  image.addEventListener("load", revoke);
  image.addEventListener("error", () => {
    revoke();
    const blank = element("div", { className: "thumb" });
    image.replaceWith(blank);
  });
  return image;
}

function labels(predictions) {
  const items = predictions.map(({ label, probability }) =>
    element("li", {}, element("span", { textContent: label }), percent(probability), bar(probability)),
  );
  return element("ol", { className: "labels" }, ...items);
}

function size(bytes) {
  if (bytes < 1024) return plural(bytes, "byte");
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib.toFixed(0)} KiB` : `${(kib / 1024).toFixed(1)} MiB`;
}
