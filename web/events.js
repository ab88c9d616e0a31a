// What a server tells of a stream while it is watched, and which layer of the picture it sends: WHEP's two extensions.
// Nothing depends on them: where a server has none, or no room, there are no events, and that is all.

import { authorization, reach, refusal } from "./wish.js";

const EVENTS = "urn:ietf:params:whep:ext:core:server-sent-events";
const LAYER = "urn:ietf:params:whep:ext:core:layer";
const TYPES = ["active", "inactive", "layers", "viewercount", "reconnect"];
const AGAIN_MS = 10_000;
/** A browser has six connections to a server; pages that listen must leave some to those that load. */
const SLOTS = ["wtn-events-1", "wtn-events-2", "wtn-events-3"];

/** Events: those of the draft by their names (detail is their data). */
export class StreamEvents extends EventTarget {
  /** @type {import("./types").WishSession | null} */
  #session = null;
  /** @type {string | undefined} */
  #token;
  #over = new AbortController();

  /**
   * Listens to what is told of that session, until it is told to listen to another, or to none.
   * @param {import("./types").WishSession | null} session
   * @param {string} [token]
   */
  listen(session, token) {
    this.#over.abort();
    this.#over = new AbortController();
    this.#session = session;
    this.#token = token;
    const link = session && linksOf(session).find((each) => each.rel === EVENTS);
    if (link) this.#keepListening(link, this.#over.signal);
  }

  /**
   * Asks for a layer, or for whichever the line carries if nothing but the `mediaId` is said.
   * @param {object} selection
   * @throws {import("./wish.js").WishError}
   */
  async choose(selection) {
    const link = this.#session && linksOf(this.#session).find((each) => each.rel === LAYER);
    if (link) await this.#post(link.url, selection, this.#over.signal);
  }

  /** @param {import("./types").Link} link @param {AbortSignal} over */
  async #keepListening(link, over) {
    const types = TYPES.filter((type) => link.events.includes(type));
    let url = "";
    while (!over.aborted) {
      try {
        await visible(over);
        await inSlot(async () => {
          url ||= new URL((await this.#post(link.url, types, over)).headers.get("Location") ?? "", link.url).href;
          await this.#read(url, types, over);
        });
      } catch {
        // No events this time.
      }
      if (!document.hidden) await pause(AGAIN_MS, over);
    }
  }

  /**
   * Reads until the server ends it, or nobody looks at the page any more.
   * @param {string} url @param {string[]} types @param {AbortSignal} over
   */
  #read(url, types, over) {
    return new Promise((/** @type {(value: void) => void} */ resolve) => {
      const source = new EventSource(url);
      const end = () => {
        source.close();
        over.removeEventListener("abort", end);
        document.removeEventListener("visibilitychange", look);
        resolve();
      };
      const look = () => document.hidden && end();
      over.addEventListener("abort", end);
      document.addEventListener("visibilitychange", look);
      // It comes back by itself where that may help.
      source.onerror = () => source.readyState === EventSource.CLOSED && end();
      for (const type of types) {
        source.addEventListener(type, (event) => {
          this.dispatchEvent(new CustomEvent(type, { detail: JSON.parse(event.data) }));
        });
      }
      if (over.aborted) end();
    });
  }

  /** @param {string} url @param {object} body @param {AbortSignal} signal */
  async #post(url, body, signal) {
    const headers = { "Content-Type": "application/json", ...authorization(this.#token) };
    const response = await reach(url, { method: "POST", headers, body: JSON.stringify(body), signal });
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/**
 * The `Link` lines of an answer (RFC 8288 §3), which browsers hand out as one. A server may lack the `;` before `events`, as
 * the draft's own example does.
 * @param {import("./types").WishSession} session
 * @returns {import("./types").Link[]}
 */
function linksOf({ links: header, url: base }) {
  const links = (header ?? "").matchAll(/<([^>]*)>((?:[\s;]*[\w-]+="[^"]*"|[\s;]*[\w-]+=[^\s;,"]+)*)/g);
  return [...links].map(([, url, rest]) => {
    const value = (/** @type {string} */ name) => new RegExp(`[\\s;]${name}="?([^";]*)`).exec(rest)?.[1] ?? "";
    return { url: new URL(url, base).href, rel: value("rel"), events: value("events").split(",").map((each) => each.trim()) };
  });
}

/** @param {AbortSignal} over */
function visible(over) {
  return new Promise((/** @type {(value: void) => void} */ resolve) => {
    const look = () => {
      if (document.hidden && !over.aborted) return;
      document.removeEventListener("visibilitychange", look);
      over.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    over.addEventListener("abort", look);
    look();
  });
}

/** Runs `listen` while one of the slots that all pages of this server share is free; else not at all. @param {() => Promise<void>} listen */
async function inSlot(listen) {
  // Browsers have locks in secure contexts only.
  if (!navigator.locks) return listen();
  for (const slot of SLOTS) {
    const held = await navigator.locks.request(slot, { ifAvailable: true }, async (lock) => {
      if (lock) await listen();
      return lock !== null;
    });
    if (held) return;
  }
}

/** @param {number} ms @param {AbortSignal} over */
function pause(ms, over) {
  return new Promise((/** @type {(value: void) => void} */ resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      over.removeEventListener("abort", done);
      resolve();
    }
    over.addEventListener("abort", done);
    if (over.aborted) done();
  });
}
