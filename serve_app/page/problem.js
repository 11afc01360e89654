// Errors, shown where they belong: problem documents (RFC 9457), or what the browser says.

import { element } from "./elements.js";

export class Problem extends Error {
  constructor({ title, detail = "", code = "", status = 0, retryAfterS = null }) {
    super(title);
    Object.assign(this, { title, detail, code, status, retryAfterS });
  }
}

// What an answer with an error status says of it.
export async function problemOf(answer) {
  const wait = Number.parseInt(answer.headers.get("retry-after") ?? "", 10);
  const rest = { status: answer.status, retryAfterS: Number.isNaN(wait) ? null : wait };
  try {
    const { title, detail, code } = await answer.json();
    return new Problem({ title: String(title), detail, code, ...rest });
  } catch {
    return new Problem({ title: `The service answered ${answer.status}`, ...rest });
  }
}

// Anything that was thrown, as a problem.
export function asProblem(error) {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) {
    return new Problem({ title: "There was no answer", detail: error.message });
  }
  return new Problem({ title: "The page failed", detail: String(error) });
}

// Shows the problem in `place`, or empties it; `again` makes a button of it, once the wait is over.
export function show(place, error, again = null) {
  place.replaceChildren();
  if (error === null) return;
  const problem = asProblem(error);
  const text = element(
    "div",
    {},
    element("strong", { textContent: problem.title }),
    element("div", { textContent: problem.detail ?? "" }),
    element("div", { className: "code", textContent: problem.code ?? "" }),
  );
  text.setAttribute("role", "alert");
  const box = element("div", { className: "problem" }, text);
  place.append(box);
  if (problem.retryAfterS !== null) countDown(box, problem.retryAfterS, again);
  else if (again !== null && problem.status !== 422) box.append(button(again));
}

// Outside of the alert, because nobody wants every second read out.
function countDown(box, seconds, again) {
  const until = Date.now() + seconds * 1000;
  const line = element("div", { className: "wait" });
  box.append(line);
  const tick = () => {
    if (!box.isConnected) return;
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      line.textContent = `Try again in ${left} s`;
      setTimeout(tick, 250);
    } else if (again === null) {
      line.textContent = "Try again now";
    } else {
      line.replaceWith(button(again));
    }
  };
  tick();
}

function button(again) {
  const made = element("button", { type: "button", textContent: "Try again" });
  made.addEventListener("click", again);
  return made;
}
