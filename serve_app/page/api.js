// Calls to the service, with whatever key or token is in use.

import { credential, refused } from "./access.js";
import { problemOf } from "./problem.js";

// Throws a Problem for an error status other than those in `taken`, TypeError without an answer.
export async function call(path, { taken = [], ...options } = {}) {
  const headers = new Headers(options.headers);
  const used = credential();
  if (used !== null) headers.set("Authorization", `Bearer ${used}`);
  const answer = await fetch(path, { cache: "no-store", ...options, headers });
  if (answer.ok || taken.includes(answer.status)) return answer;
  const problem = await problemOf(answer);
  if (answer.status === 401) refused(problem);
  throw problem;
}

export async function rank(question, topK, signal) {
  const body = JSON.stringify({ question, top_k: topK });
  const headers = { "Content-Type": "application/json" };
  const answer = await call("v1/faq/rank", { method: "POST", headers, body, signal });
  return answer.json();
}

export async function examples() {
  return (await (await call("v1/faq/examples")).json()).examples;
}

export async function classify(file, topK, signal) {
  // The service believes the bytes and not the type; it only has to be one of a picture.
  const type = file.type.startsWith("image/") ? file.type : "application/octet-stream";
  const headers = { "Content-Type": type };
  const path = `v1/images/classify?top_k=${topK}`;
  return (await call(path, { method: "POST", headers, body: file, signal })).json();
}

export async function readiness() {
  return (await call("readyz", { taken: [503] })).json();
}

export async function metrics() {
  return (await call("metrics")).text();
}
