// Questions: the matches with their probabilities; where the right original is known, it is marked.

import { examples, rank } from "./api.js";
import { bar, element, percent, plural } from "./elements.js";
import { show } from "./problem.js";

const form = document.getElementById("faq-form");
const question = document.getElementById("question");
const topK = document.getElementById("top-k");
const knownField = document.getElementById("known-field");
const known = document.getElementById("known");
const status = document.getElementById("faq-status");
const problemPlace = document.getElementById("faq-problem");
const matches = document.getElementById("matches");

let duplicates = [];
let running = null;

export function start(configuration) {
  question.maxLength = configuration.question_characters;
  topK.max = configuration.faq_top_k;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  known.addEventListener("change", () => {
    if (known.value === "") return;
    question.value = duplicates[Number(known.value)].question;
    ask();
  });
}

// Fetches the known duplicates; called again when another credential is in use.
export async function load() {
  try {
    duplicates = await examples();
  } catch (error) {
    duplicates = [];
    // Without credentials nobody has asked for anything yet, and the access panel says it.
    if (error.status !== 401) show(problemPlace, error, load);
    return;
  }
  show(problemPlace, null);
  const options = duplicates.map(
    (duplicate, index) => new Option(duplicate.question, String(index)),
  );
  known.replaceChildren(new Option("Pick one", ""), ...options);
  knownField.hidden = duplicates.length === 0;
}

async function ask() {
  running?.abort();
  const own = new AbortController();
  running = own;
  const text = question.value;
  status.textContent = "Asking";
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await rank(text, Number(topK.value), own.signal);
    show(problemPlace, null);
    fill(answer, duplicates.find((duplicate) => duplicate.question === text)?.answer_id);
  } catch (error) {
    if (own.signal.aborted) return;
    matches.replaceChildren();
    status.textContent = "";
    show(problemPlace, error, ask);
  }
  if (running === own) form.removeAttribute("aria-busy");
}

function fill(answer, right) {
  matches.replaceChildren(...answer.matches.map((match) => item(match, right)));
  const place = answer.matches.findIndex((match) => match.answer_id === right) + 1;
  const parts = [
    plural(answer.matches.length, "match").replace("matchs", "matches"),
    answer.matched ? "the best reaches the threshold" : "none reaches the threshold",
  ];
  if (right !== undefined) {
    parts.push(place > 0 ? `the right original at place ${place}` : "the right original not among them");
  }
  const { name, version } = answer.model;
  parts.push(`${name} version ${version}`, `${answer.timing.total_ms.toFixed(1)} ms`);
  status.textContent = parts.join(" · ");
}

function item(match, right) {
  const isRight = match.answer_id === right;
  const text = element("span", { className: "text" }, match.question);
  if (isRight) text.append(element("span", { className: "right", textContent: "right original" }));
  const summary = element("summary", {}, text, percent(match.probability), bar(match.probability));
  const words = match.answer ?? "This FAQ has no text of an answer.";
  const answer = element(
    "div",
    { className: "answer" },
    element("div", { className: "words", textContent: words }),
    element("div", { className: "meta", textContent: `Id ${match.id} · AnswerId ${match.answer_id}` }),
  );
  return element("li", { className: isRight ? "is-right" : "" }, element("details", {}, summary, answer));
}
