// Which key or token is in use. It is held in this module's memory and nowhere else.

import { authorize, finish } from "./oidc.js";
import { show } from "./problem.js";

const panel = document.getElementById("access");
const state = document.getElementById("access-state");
const problemPlace = document.getElementById("access-problem");
const keyForm = document.getElementById("key-form");
const keyField = document.getElementById("key");
const signIn = document.getElementById("sign-in");
const signOut = document.getElementById("sign-out");

const listeners = [];
let used = null;

export function credential() {
  return used;
}

// `listener` is called whenever another credential, or none, is in use.
export function onChange(listener) {
  listeners.push(listener);
}

// The service did not take the credential, or wants one: the place to give it opens.
export function refused(problem) {
  panel.open = true;
  // Without a credential, why the sign-in failed says more than that one is missing.
  if (used === null && problemPlace.hasChildNodes()) return;
  show(problemPlace, problem);
}

// Puts the panel to use; ends a sign-in that the issuer has just sent back.
export async function start(configuration) {
  keyForm.addEventListener("submit", (event) => {
    event.preventDefault();
    use(keyField.value.trim(), "a key is in use");
    keyField.value = "";
  });
  signOut.addEventListener("click", () => use(null, "no key in use"));
  const settings = configuration.sign_in;
  if (settings === null) return;
  signIn.hidden = false;
  signIn.textContent = `Sign in at ${new URL(settings.issuer).host}`;
  signIn.addEventListener("click", () => tell(() => authorize(settings)));
  await tell(async () => {
    const user = await finish(settings);
    if (user !== null) use(user.token, `signed in${user.name === "" ? "" : ` as ${user.name}`}`);
  });
}

async function tell(step) {
  show(problemPlace, null);
  try {
    await step();
  } catch (error) {
    panel.open = true;
    show(problemPlace, error);
  }
}

function use(value, text) {
  const fresh = value === "" ? null : value;
  used = fresh;
  state.textContent = fresh === null ? "no key in use" : text;
  show(problemPlace, null);
  if (fresh === null && document.activeElement === signOut) keyField.focus();
  signOut.hidden = fresh === null;
  for (const listener of listeners) listener();
}
