// The watch page: puts a WhepPlayer's media on the screen, and says in words why there is no picture.
//
// /watch/NAME, with ?muted=0 and ?stats=1 as options. A play key may come as #k=KEY, which no log ever sees.

import { PictureWatch, countsOf } from "./picture.js";
import { WhepPlayer } from "./whep.js";
import { keyInAddress } from "./wish.js";
import { wordsFor } from "./words.js";

const POLL_MS = 500;
const IDLE_MS = 3_000;

/** @param {string} id @returns {any} whatever kind of element the page has there */
const byId = (id) => document.getElementById(id);

const stage = byId("stage");
const card = byId("card");
const sound = byId("sound");
const stats = byId("stats");
const mute = byId("mute");
const video = byId("video");
const key = byId("key");

const path = location.pathname.replace(/^\/watch\//, "");
const stream = decodeURIComponent(path);
const query = new URLSearchParams(location.search);
const player = new WhepPlayer(`/whep/${path}`, { token: keyInAddress() });

/** What is said. While the next try of a wait is under way, that is still the wait. */
let status = player.status;
/** @type {import("./types").Picture} */
let picture = "nothing";
let watching = new PictureWatch();
/** @type {string[]} */
let missing = [];
/** @type {RTCStatsReport | null} */
let lastReport = null;
/** @type {number | null} */
let firstPictureMs = null;
let heard = false;
/** What the server tells and lets us choose, if it does. @type {import("./extras.js").Extras | null} */
let extras = null;

// What is shown

function show() {
  const words = extras?.words(stream, picture) ?? wordsFor(stream, status, picture, missing);
  const playing = words === null;
  stage.dataset.state = playing ? "playing" : (words.state ?? (status.state === "connected" ? picture : status.state));
  // Unseen rather than hidden: a screen reader hears only changes of what is there.
  card.classList.toggle("unseen", playing);
  card.classList.toggle("busy", Boolean(words?.busy));
  setText("title", words?.title ?? "Playing");
  setText("text", words?.text ?? "");
  byId("ask").hidden = status.state !== "refused";
  byId("retry").hidden = !["unsupported", "unreachable", "blocked"].includes(status.state);
  byId("live").hidden = !playing;
  sound.hidden = !(video.muted && heard && (playing || picture === "sound"));
  mute.setAttribute("aria-pressed", String(video.muted));
  extras?.show();
  document.title = `${playing ? "● " : ""}${stream} · wtn`;
}

/** Writes only what changed, or screen readers would hear it twice a second. @param {string} id @param {string} text */
function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

async function poll() {
  const report = player.pc && player.status.state === "connected" ? await player.pc.getStats() : null;
  if (report) {
    const counts = countsOf(report);
    const was = picture;
    picture = watching.observe(counts, performance.now());
    heard = counts.sound > 0;
    if (picture === "undecodable" && was !== picture) missing = await missingCodecs();
    if (!stats.hidden) showStats(report, lastReport);
  }
  lastReport = report;
  show();
}

/** @param {RTCStatsReport} report @param {RTCStatsReport | null} before */
async function showStats(report, before) {
  const { statsLines } = await import("./stats.js");
  const rows = statsLines(report, before, firstPictureMs).flatMap(([label, value]) => [
    Object.assign(document.createElement("dt"), { textContent: label }),
    Object.assign(document.createElement("dd"), { textContent: value }),
  ]);
  stats.replaceChildren(...rows);
}

/** The stream's codecs that this browser has no decoder for. */
const missingCodecs = async () => (await import("./streams.js")).missingCodecs(stream, player.token);

// What happens

player.addEventListener("status", async () => {
  const next = player.status;
  if (next.state === "connecting") {
    picture = "nothing";
    watching = new PictureWatch();
    if (status.state !== "stopped") return;
  }
  if (next.state === "unsupported") missing = await missingCodecs();
  if (player.session?.links) extras ??= new (await import("./extras.js")).Extras(player, show);
  status = next;
  show();
});

player.addEventListener("media", (event) => {
  video.srcObject = /** @type {CustomEvent<MediaStream>} */ (event).detail;
  play();
  video.requestVideoFrameCallback?.(() => {
    firstPictureMs ??= performance.now();
    picture = "playing";
    show();
  });
});

async function play() {
  try {
    await video.play();
  } catch (error) {
    // Sound is only allowed after a gesture; a picture without it always is.
    if (/** @type {DOMException} */ (error).name !== "NotAllowedError" || video.muted) return;
    video.muted = true;
    video.play().catch(() => {});
  }
}

function toggleSound() {
  video.muted = !video.muted;
  play();
  show();
}

function toggleStats() {
  stats.hidden = !stats.hidden;
  byId("info").setAttribute("aria-expanded", String(!stats.hidden));
  if (lastReport && !stats.hidden) showStats(lastReport, null);
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (document.fullscreenEnabled) stage.requestFullscreen();
  // An iPhone makes only the video itself full screen.
  else video.webkitEnterFullscreen?.();
}

let idle = 0;
function wakeControls() {
  stage.classList.remove("idle");
  clearTimeout(idle);
  idle = setTimeout(() => stage.classList.add("idle"), IDLE_MS);
}

sound.onclick = mute.onclick = toggleSound;
byId("info").onclick = toggleStats;
byId("full").onclick = toggleFullScreen;
byId("retry").onclick = () => player.retry();
byId("ask").onsubmit = (/** @type {Event} */ event) => {
  event.preventDefault();
  player.token = key.value;
  player.retry();
};
for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(name, wakeControls);
addEventListener("keydown", (event) => {
  if (event.target === key || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = { m: toggleSound, f: toggleFullScreen, i: toggleStats }[event.key];
  if (action) action();
});

setText("name", stream);
video.muted = query.get("muted") !== "0";
if (query.get("stats") === "1") toggleStats();
wakeControls();
show();
player.start();
setInterval(poll, POLL_MS);
