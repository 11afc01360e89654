// Signs a user in at an OpenID Connect issuer: authorization code (OpenID Connect Core 1.0,
// section 3.1) with PKCE (RFC 7636, S256). Only state, nonce and verifier outlive the way to the
// issuer and back, in the tab's session storage; they are removed on the return, whatever it says.

import { Problem } from "./problem.js";

const PENDING = "realtime-scoring.sign-in";

// Leaves for the issuer.
export async function authorize(settings) {
  if (!window.isSecureContext) {
    throw new Problem({ title: "Signing in needs HTTPS", detail: "This page came without it." });
  }
  const found = await discover(settings.issuer);
  const pending = { state: random(), nonce: random(), verifier: random() };
  const challenge = await sha256(pending.verifier);
  const query = new URLSearchParams({
    response_type: "code",
    client_id: settings.client_id,
    redirect_uri: ownAddress(),
    scope: settings.scopes.join(" "),
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
  });
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const target = new URL(found.authorization_endpoint);
  for (const [name, value] of query) target.searchParams.set(name, value);
  location.assign(target);
}

// The user whom the issuer has sent back: `{token, name}`; null where nobody comes from there.
// Throws a Problem where the answer is an error, or is not the answer to this page's question.
export async function finish(settings) {
  const answer = new URLSearchParams(location.search);
  const stored = sessionStorage.getItem(PENDING);
  sessionStorage.removeItem(PENDING);
  if (!answer.has("code") && !answer.has("error")) return null;
  history.replaceState(null, "", ownAddress());
  const pending = stored === null ? null : JSON.parse(stored);
  if (pending === null || answer.get("state") !== pending.state) {
    throw failed("This is not the answer to a sign-in that this page began.");
  }
  if ((answer.get("iss") ?? settings.issuer) !== settings.issuer) {  // RFC 9207
    throw failed("Another issuer has answered.");
  }
  if (answer.has("error")) {
    throw failed(answer.get("error_description") ?? "", answer.get("error"));
  }
  const tokens = await exchange(settings, answer.get("code"), pending.verifier);
  return { token: tokens.access_token, name: nameOf(tokens.id_token, settings, pending.nonce) };
}

async function exchange(settings, code, verifier) {
  const found = await discover(settings.issuer);
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    code,
    redirect_uri: ownAddress(),
    client_id: settings.client_id,
    code_verifier: verifier,
  });
  const tokens = await ask(found.token_endpoint, { method: "POST", body });
  if (typeof tokens.access_token !== "string" || tokens.token_type?.toLowerCase() !== "bearer") {
    throw failed("The issuer gave no bearer token.");
  }
  return tokens;
}

// Came from the issuer's token endpoint itself, so its signature need not be checked (OpenID
// Connect Core 1.0, section 3.1.3.7); that it was made for this sign-in must be.
function nameOf(idToken, settings, nonce) {
  const claims = claimsOf(idToken);
  const audience = [claims.aud].flat();
  const isOurs = claims.iss === settings.issuer && audience.includes(settings.client_id);
  if (!isOurs || claims.nonce !== nonce || !(claims.exp * 1000 > Date.now() - 60_000)) {
    throw failed("The ID token was not made for this sign-in.");
  }
  return claims.preferred_username ?? claims.name ?? claims.email ?? "";
}

function claimsOf(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw failed("The issuer gave no ID token that can be read.");
  }
}

async function discover(issuer) {
  const found = await ask(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (found.issuer !== issuer) throw failed("The issuer calls itself by another name.");
  return found;
}

async function ask(url, options = {}) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "omit", cache: "no-store", ...options });
  } catch (error) {
    throw failed(`The issuer does not answer this page (${error.message}).`);
  }
  let content;
  try {
    content = await answer.json();
  } catch {
    throw failed(`The issuer answered ${answer.status} without JSON.`);
  }
  if (!answer.ok) throw failed(content.error_description ?? "", content.error ?? `${answer.status}`);
  return content;
}

function failed(detail, code = "") {
  return new Problem({ title: "The sign-in failed", detail, code });
}

function ownAddress() {
  return new URL(".", location.href).href;
}

function random() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

async function sha256(text) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return base64url(new Uint8Array(digest));
}

function base64url(bytes) {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
