// The service: its models, and the traffic of all its replicas, asked for while the page is seen.

import { metrics, readiness } from "./api.js";
import { element } from "./elements.js";
import { growth, parse, quantile, sums } from "./metrics.js";
import { Problem, show } from "./problem.js";
import { sparkline } from "./sparkline.js";

const PERIOD_MS = 2000;
const WINDOW = 5;  // readings back: ten seconds
const KEPT = 60;

const status = document.getElementById("service-status");
const problemPlace = document.getElementById("service-problem");
const metricsProblem = document.getElementById("metrics-problem");
const models = document.getElementById("models");
const routes = document.getElementById("routes");
const batches = document.getElementById("batches");

const readings = [];
let timer = null;
let isAsking = false;
let metricsRefused = false;

export function start() {
  document.addEventListener("visibilitychange", look);
  look();
}

// With another credential, metrics that were refused may be given.
export function credentialChanged() {
  metricsRefused = false;
  look();
}

async function look() {
  clearTimeout(timer);
  if (document.visibilityState !== "visible" || isAsking) return;
  isAsking = true;
  await Promise.all([lookAtModels(), lookAtMetrics()]);
  isAsking = false;
  timer = setTimeout(look, PERIOD_MS);
}

async function lookAtModels() {
  try {
    const found = await readiness();
    show(problemPlace, null);
    say(status, found.status === "ready" ? "Every model has loaded" : "A model is loading");
    models.replaceChildren(...found.models.map(model));
  } catch (error) {
    say(status, "");
    show(problemPlace, error);
  }
}

// A live region speaks when it is written to: only when something has changed.
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function model({ name, version, digest, state, refused, engine }) {
  const rows = [
    ["Version", version],
    ["Digest", digest],
    ["Refused", refused && `version ${refused.version}: ${refused.reason}`],
    ["Device", engine?.device],
    ["Precision", engine?.precision],
    ["Execution", engine?.execution],
    ["Batch sizes", engine?.batch_sizes.join(", ")],
    ["At a time", engine && `${engine.concurrency} batches`],
  ].filter(([, value]) => value !== null && value !== undefined);
  const list = rows.flatMap(([term, value]) => [
    element("dt", { textContent: term }),
    element("dd", { textContent: value, className: term === "Digest" ? "digest" : "" }),
  ]);
  const label = element("span", { className: `state ${state}`, textContent: state.replaceAll("_", " ") });
  return element("div", { className: "model" }, element("h3", {}, name, label), element("dl", {}, ...list));
}

async function lookAtMetrics() {
  if (metricsRefused) return;
  try {
    readings.push({ at: performance.now(), samples: parse(await metrics()) });
    if (readings.length > KEPT + WINDOW) readings.shift();
    show(metricsProblem, null);
    draw();
  } catch (error) {
    metricsRefused = [401, 403, 404].includes(error.status);
    show(metricsProblem, error.status === 404 ? switchedOff() : error);
  }
}

function switchedOff() {
  return new Problem({ title: "Metrics are switched off", detail: "See the setting http.metrics." });
}

function draw() {
  const now = readings.at(-1);
  const before = readings.at(-1 - WINDOW) ?? readings[0];
  const counts = readings.map(({ samples }) => sums(samples, "scoring_requests_total", "route"));
  const scoring = [...counts.at(-1).keys()].filter(isScoring).sort();
  routes.replaceChildren(...scoring.map((route) => routeRow(route, now, before, counts)));
  const names = [...sums(now.samples, "scoring_batch_size_count", "model").keys()].sort();
  batches.replaceChildren(...names.map((name) => batchRow(name, now, before)));
}

// Not those that pages and probes ask.
function isScoring(route) {
  return /^\/(v\d+|faq|image)\//.test(route) && route !== "/v1/faq/examples";
}

function routeRow(route, now, before, counts) {
  const seconds = (now.at - before.at) / 1000;
  const grown = growth(counts.at(-1), counts[readings.indexOf(before)], route);
  const isError = (labels) => Number(labels.status) >= 400;
  const errors = sums(now.samples, "scoring_requests_total", "route", isError).get(route) ?? 0;
  return row(
    route,
    element("td", {}, sparkline(rates(route, counts))),
    cell(seconds > 0 ? (grown / seconds).toFixed(1) : "–"),
    latency(0.5, now, before, "scoring_request_seconds", "route", route),
    latency(0.99, now, before, "scoring_request_seconds", "route", route),
    cell(String(errors)),
  );
}

// Requests a second between each two readings.
function rates(route, counts) {
  return counts.slice(1).map((count, index) => {
    const seconds = (readings[index + 1].at - readings[index].at) / 1000;
    return growth(count, counts[index], route) / seconds;
  });
}

function batchRow(name, now, before) {
  return row(
    name,
    meanSize(name, now, before),
    latency(0.5, now, before, "scoring_inference_seconds", "model", name),
    cell(String(sums(now.samples, "scoring_queue_waiting", "model").get(name) ?? 0)),
  );
}

function meanSize(name, now, before) {
  const [items, count] = ["sum", "count"].map((part) => {
    const of = ({ samples }) => sums(samples, `scoring_batch_size_${part}`, "model");
    return { recent: growth(of(now), of(before), name), all: of(now).get(name) ?? 0 };
  });
  if (count.recent > 0) return cell((items.recent / count.recent).toFixed(1));
  return sinceStart(count.all > 0 ? (items.all / count.all).toFixed(1) : "–");
}

// Milliseconds within the window; where nothing came in it, since the start.
function latency(q, now, before, name, label, key) {
  const recent = quantile(q, now.samples, before.samples, name, label, key);
  if (recent !== null) return cell((recent * 1000).toFixed(1));
  const all = quantile(q, now.samples, null, name, label, key);
  return sinceStart(all === null ? "–" : (all * 1000).toFixed(1));
}

function row(name, ...cells) {
  return element("tr", {}, element("th", { scope: "row", textContent: name }), ...cells);
}

function cell(text) {
  return element("td", { textContent: text });
}

function sinceStart(text) {
  return element("td", { textContent: text, className: "since-start" });
}
