// The landing page: what is live, and what to type where to be live yourself. Where the list needs a key, the page's
// address brings it: #k=KEY.

import { listStreams } from "./streams.js";
import { WishError, keyInAddress } from "./wish.js";

const POLL_MS = 2_000;

/** @template {HTMLElement} T @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));
/** @type {HTMLInputElement} */
const field = byId("stream");
/** @type {HTMLAnchorElement} */
const watch = byId("watch");

// ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────────

async function refresh() {
  try {
    list(await listStreams(keyInAddress()));
  } catch (error) {
    list([]);
    say(error instanceof WishError ? `${error.problem.title}. ${error.problem.fix}` : String(error));
  }
}

let shown = "";

/** @param {import("./types").StreamRow[]} streams */
function list(streams) {
  const live = streams.filter((stream) => stream.live).sort((a, b) => a.name.localeCompare(b.name));
  say(live.length ? "" : "Nothing is live yet. Publish below; it appears here by itself.");
  // A list that is rebuilt for nothing takes the keyboard's focus away.
  const news = JSON.stringify(live);
  if (news === shown) return;
  shown = news;
  const focused = document.activeElement?.getAttribute("href");
  byId("streams").replaceChildren(...live.map(card));
  if (focused) /** @type {HTMLElement | null} */ (document.querySelector(`#streams [href="${focused}"]`))?.focus();
}

/** @param {string} text */
function say(text) {
  const empty = byId("empty");
  empty.hidden = !text;
  if (empty.textContent !== text) empty.textContent = text;
}

/** @param {import("./types").StreamRow} stream */
function card({ name, codecs, viewers, inputs = [], lint = [] }) {
  const viewing = viewers === 1 ? "1 viewer" : `${viewers} viewers`;
  const backup = inputs.find((input) => input.shown)?.backup ?? 0;
  const source = inputs.length < 2 ? "" : `${inputs.length} inputs, ${backup ? `backup ${backup}` : "the main one"} shown`;
  const link = element("a", {
    href: watchPath(name),
    children: [
      element("span", {
        className: "row",
        children: [
          element("b", { textContent: name }),
          element("span", { className: "live", textContent: "Live" }),
        ],
      }),
      element("small", { textContent: [codecs.map(spoken).join(" + "), viewing, source].filter(Boolean).join(" · ") }),
    ],
  });
  return element("li", { children: [link, ...lint.map(hint)] });
}

/** What its broadcaster should change. @param {import("./types").Lint} lint */
function hint({ detail, fix }) {
  return element("p", { className: "lint", children: [element("span", { textContent: detail }), ` ${fix}`] });
}

/**
 * @param {string} tag
 * @param {{children?: Node[], [property: string]: any}} properties
 */
function element(tag, { children = [], ...properties }) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** @param {string} codec as in SDP */
const spoken = (codec) => codec.replace(/^H(26\d)$/i, "H.$1").replace(/^opus$/i, "Opus");
/** @param {string} stream */
const watchPath = (stream) => `/watch/${encodeURIComponent(stream)}${location.hash}`;

// ── Publish ──────────────────────────────────────────────────────────────────────────────────────────────────

function fill() {
  const stream = field.value.trim() || "live";
  watch.href = watchPath(stream);
  for (const place of document.querySelectorAll("[data-template]")) {
    const template = /** @type {HTMLElement} */ (place).dataset.template ?? "";
    place.textContent = template.replace("{origin}", location.origin).replace("{stream}", encodeURIComponent(stream));
  }
}

for (const line of document.querySelectorAll(".copy")) {
  const button = element("button", { type: "button", className: "button quiet", textContent: "Copy" });
  button.onclick = () => copy(/** @type {HTMLElement} */ (line.querySelector("code")), button);
  line.append(button);
}

/** @param {HTMLElement} code @param {HTMLElement} button */
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
    button.textContent = "Copied";
  } catch {
    // Plain http on a network address has no clipboard: mark the text, so that Ctrl-C does it.
    getSelection()?.selectAllChildren(code);
    button.textContent = "Press Ctrl-C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2_000);
}

const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[role=tab]")]);

/** @param {HTMLElement} tab */
function choose(tab) {
  for (const each of tabs) {
    const chosen = each === tab;
    each.setAttribute("aria-selected", String(chosen));
    each.tabIndex = chosen ? 0 : -1;
    byId(each.getAttribute("aria-controls") ?? "").hidden = !chosen;
  }
}

for (const [at, tab] of tabs.entries()) {
  tab.onclick = () => choose(tab);
  tab.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: tabs.length - 1 }[event.key];
    if (!step) return;
    const next = tabs[(at + step) % tabs.length];
    choose(next);
    next.focus();
  };
}

if (!/^(localhost|127\.|\[::1\])/.test(location.hostname)) {
  byId("phone").textContent = `open ${location.origin} there.`;
}
field.oninput = fill;
byId("pick").onsubmit = (event) => {
  event.preventDefault();
  location.href = watch.href;
};
fill();
refresh();
setInterval(refresh, POLL_MS);
