// What the watch page makes of WHEP's extensions: the offline card that knows, the viewer count, the menu of layers. Loaded
// once a server announces them, so that the page without them is no larger.

import { StreamEvents } from "./events.js";
import { choicesOf } from "./layers.js";

const COUNT = `<span id="viewers" class="viewers" role="img" hidden>
  <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z" /><circle cx="12" cy="12" r="2.8" /></svg>
  <span id="count"></span>
</span>`;

const MENU = `<form id="menu" class="menu" hidden>
  <fieldset>
    <legend>Quality</legend>
    <div id="choices"></div>
  </fieldset>
  <p id="note" role="status"></p>
</form>`;

const BUTTON = `<button id="layers" class="icon" type="button" hidden aria-keyshortcuts="q" aria-expanded="false" aria-controls="menu" aria-label="Quality" title="Quality (q)">
  <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 7h9m5 0h2M4 17h2m5 0h9" /><circle cx="15.5" cy="7" r="2.3" /><circle cx="8.5" cy="17" r="2.3" /></svg>
</button>`;

/** @param {string} id @returns {any} whatever kind of element the page has there */
const byId = (id) => document.getElementById(id);

export class Extras {
  #events = new StreamEvents();
  #player;
  #show;
  /** @type {import("./types").OnAir} */
  #onAir = "unknown";
  /** What may be chosen. @type {import("./types").LayerChoice[]} */
  #choices = [];
  /** What is chosen, as long as the page is open; "": whichever the line carries. */
  #chosen = "";
  /** What this session's server was last asked for. */
  #asked = "";

  /**
   * @param {import("./whep.js").WhepPlayer} player
   * @param {() => void} show has the page show everything anew
   */
  constructor(player, show) {
    this.#player = player;
    this.#show = show;
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/assets/extras.css" }));
    byId("live").insertAdjacentHTML("afterend", COUNT);
    byId("info").insertAdjacentHTML("beforebegin", BUTTON);
    document.querySelector("footer")?.insertAdjacentHTML("beforebegin", MENU);
    byId("layers").onclick = () => this.#toggleMenu();
    byId("menu").onchange = (/** @type {Event} */ event) => {
      this.#chosen = /** @type {HTMLInputElement} */ (event.target).value;
      this.#ask();
    };
    addEventListener("keydown", (event) => {
      const isTyped = event.target === byId("key") || event.ctrlKey || event.metaKey || event.altKey;
      if (event.key === "q" && !isTyped) this.#toggleMenu();
      if (event.key === "Escape" && !byId("menu").hidden) this.#toggleMenu();
    });
    this.#follow();
    player.addEventListener("status", () => this.#listen());
    this.#listen();
  }

  /** A new session, or none. */
  #listen() {
    const isConnected = this.#player.status.state === "connected";
    this.#onAir = "unknown";
    this.#asked = "";
    if (!isConnected) {
      this.#choices = [];
      byId("viewers").hidden = true;
    }
    this.#events.listen(isConnected ? this.#player.session : null, this.#player.token);
  }

  #follow() {
    /** @param {string} name @param {(data: any) => void} then */
    const on = (name, then) =>
      this.#events.addEventListener(name, (event) => {
        then(/** @type {CustomEvent} */ (event).detail);
        this.#show();
      });
    on("active", () => (this.#onAir = this.#onAir === "no" ? "back" : "yes"));
    on("inactive", () => (this.#onAir = "no"));
    on("layers", (told) => {
      this.#choices = choicesOf(told);
      // A publisher that is away has none, and may be back with the same.
      if (this.#choices.length) this.#ask();
    });
    on("viewercount", ({ viewercount }) => {
      const count = byId("viewers");
      count.hidden = !(viewercount > 0);
      count.title = viewercount === 1 ? "1 viewer" : `${viewercount} viewers`;
      count.setAttribute("aria-label", count.title);
      byId("count").textContent = String(viewercount);
    });
    on("reconnect", ({ url }) => {
      if (url) this.#player.endpoint = new URL(url, location.href).href;
      this.#player.stop();
      // Once the old session is put away.
      setTimeout(() => this.#player.start());
    });
  }

  /**
   * What there is to say where the server has said something.
   * @param {string} stream
   * @param {import("./types").Picture} picture
   * @returns {import("./types").Words | null}
   */
  words(stream, picture) {
    if (this.#onAir === "back" && picture === "playing") this.#onAir = "yes";
    if (this.#onAir === "no") {
      const text = "The publisher has stopped sending. The picture goes on by itself when it is back.";
      return { title: `${stream} is offline`, text, busy: true, state: "offline" };
    }
    if (this.#onAir !== "back") return null;
    return { title: `${stream} is back`, text: "The picture goes on with the first keyframe.", busy: true };
  }

  /** The menu of layers. What is there is changed rather than made anew, or it would lose the focus. */
  show() {
    const isChoice = this.#choices.length > 1;
    byId("layers").hidden = !isChoice;
    if (!isChoice && !byId("menu").hidden) this.#toggleMenu();
    const video = byId("video");
    const size = video.videoWidth && this.#chosen === "" ? `now ${video.videoWidth}×${video.videoHeight}` : "";
    const lines = [{ id: "", label: "Auto", detail: size, active: true }, ...this.#choices];
    const box = byId("choices");
    const known = [...box.querySelectorAll("input")].map((/** @type {HTMLInputElement} */ each) => each.value);
    if (JSON.stringify(known) !== JSON.stringify(lines.map((each) => each.id))) {
      const had = box.contains(document.activeElement);
      box.replaceChildren(...lines.map(({ id }) => lineOf(id)));
      if (had) focusMenu();
    }
    lines.forEach(({ id, label, detail, active }, index) => {
      const [name, more] = box.children[index].querySelectorAll("span");
      const input = box.children[index].querySelector("input");
      if (name.textContent !== label) name.textContent = label;
      if (more.textContent !== detail) more.textContent = detail;
      input.disabled = !active && id !== this.#chosen;
      input.checked = id === this.#chosen;
    });
  }

  /** Asks the server for what is chosen. What it has not, is not chosen any longer. */
  async #ask() {
    const choice = this.#choices.find((each) => each.id === this.#chosen);
    if (!choice) this.#chosen = "";
    if (this.#asked === this.#chosen || !this.#choices.length) return;
    this.#asked = this.#chosen;
    try {
      await this.#events.choose(choice?.selection ?? { mediaId: this.#choices[0].mediaId });
      byId("note").textContent = "";
    } catch (error) {
      byId("note").textContent = /** @type {any} */ (error).problem?.detail ?? "";
      this.#chosen = this.#asked = "";
    }
    this.#show();
  }

  #toggleMenu() {
    const menu = byId("menu");
    const button = byId("layers");
    if (menu.hidden && button.hidden) return;
    const had = menu.contains(document.activeElement);
    menu.hidden = !menu.hidden;
    button.setAttribute("aria-expanded", String(!menu.hidden));
    if (!menu.hidden) focusMenu();
    else if (had) button.focus();
  }
}

/** @param {string} id */
function lineOf(id) {
  const line = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "layer", value: id });
  line.append(input, document.createElement("span"), document.createElement("span"));
  return line;
}

const focusMenu = () => byId("menu").querySelector("input:checked")?.focus();
