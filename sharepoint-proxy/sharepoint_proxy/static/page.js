// Fetches the page itself every two seconds while somebody sees it, and puts what changed in place of what is shown.
"use strict";

const SECONDS_BETWEEN = 2;
const PATIENCE_SECONDS = 10;
const silence = document.getElementById("silence");
const shown = new Map();
let answeredAt = new Date();
let timer;

for (const part of document.querySelectorAll("[data-live]")) shown.set(part.id, part.outerHTML);

async function update() {
  try {
    // Not relative to location.href: fetch refuses an address with a password in it. And a failed order is shown at its own address.
    const answer = await fetch(new URL("./", location.origin + location.pathname), {
      cache: "no-store",
      signal: AbortSignal.timeout(PATIENCE_SECONDS * 1000),
    });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!fresh.getElementById("verdict")) throw new Error("something else answers");
    document.title = fresh.title;
    for (const part of fresh.querySelectorAll("[data-live]")) put(part);
    answeredAt = new Date();
    silence.hidden = true;
  } catch {
    silence.textContent = silence.dataset.text.replace("{time}", answeredAt.toLocaleTimeString());
    silence.hidden = false;
  }
  plan();
}

// The element stays and only its content changes, so that screen readers announce what is new.
function put(part) {
  const html = part.outerHTML;
  if (shown.get(part.id) === html) return;
  shown.set(part.id, html);
  const place = document.getElementById(part.id);
  const focused = place.contains(document.activeElement) ? document.activeElement.outerHTML : null;
  place.className = part.className;
  place.hidden = part.hidden;
  place.replaceChildren(...part.childNodes);
  const same = focused && [...place.querySelectorAll("a, button")].find((each) => each.outerHTML === focused);
  if (same) same.focus({ preventScroll: true });
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(update, SECONDS_BETWEEN * 1000);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) update();
});
plan();
