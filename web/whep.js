// A WHEP player without a face: keeps one session with one endpoint alive and says in which state it is.

import { closeSession, openSession, WishError } from "./wish.js";

const CONNECT_MS = 10_000;
/** How long a silent path may stay silent before a new session is tried. Chromium reports silence after about 5 s. */
const SILENCE_MS = 2_000;
const OFFLINE_MS = 2_000;
const UNSUPPORTED_MS = 10_000;
const BACK_OFF_MS = { first: 500, most: 5_000 };

/** Events: `status` (detail is a `WhepStatus`) and `media` (detail is the MediaStream of a new session). */
export class WhepPlayer extends EventTarget {
  /** @type {import("./types").WhepStatus} */
  status = { state: "stopped" };
  /** @type {RTCPeerConnection | null} */
  pc = null;
  /** @type {import("./types").WishSession | null} */
  session = null;
  /** @type {AbortController | null} */
  #running = null;
  #wake = () => {};

  /**
   * @param {string} endpoint
   * @param {{token?: string}} [options]
   */
  constructor(endpoint, { token } = {}) {
    super();
    this.endpoint = endpoint;
    this.token = token;
    addEventListener("pagehide", () => this.stop());
    addEventListener("pageshow", (event) => event.persisted && this.start());
    addEventListener("online", () => this.retry());
  }

  start() {
    if (this.#running) return;
    this.#running = new AbortController();
    this.#run(this.#running.signal);
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
    this.#become({ state: "stopped" });
  }

  /** Tries again now instead of later. */
  retry() {
    this.#wake();
  }

  /** @param {AbortSignal} stopped */
  async #run(stopped) {
    let failures = 0;
    while (!stopped.aborted) {
      this.#become({ state: "connecting" });
      const end = await this.#attempt(stopped);
      if (stopped.aborted) return;
      failures = end.status.state === "lost" ? 0 : failures + 1;
      this.#become(end.status);
      await this.#pause(delayMs(end, failures), stopped);
    }
  }

  /** @param {import("./types").WhepStatus} status */
  #become(status) {
    this.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }

  /**
   * One session, from its offer to its end.
   * @param {AbortSignal} stopped
   * @returns {Promise<SessionEnd>}
   */
  async #attempt(stopped) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.pc = pc;
    try {
      pc.addTransceiver("video", { direction: "recvonly" });
      pc.addTransceiver("audio", { direction: "recvonly" });
      const sdp = withRoundTrip(inStereo((await pc.createOffer()).sdp ?? ""));
      await pc.setLocalDescription({ type: "offer", sdp });
      // The server is ICE-lite: it learns our addresses from our checks, so nothing waits for candidates.
      this.session = await openSession(this.endpoint, sdp, { token: this.token, signal: stopped });
      const media = new MediaStream();
      pc.ontrack = ({ track }) => media.addTrack(track);
      const over = this.#untilOver(pc, this.session.answer, stopped);
      await pc.setRemoteDescription({ type: "answer", sdp: this.session.answer });
      this.dispatchEvent(new CustomEvent("media", { detail: media }));
      return await over;
    } catch (error) {
      return refusalEnd(error);
    } finally {
      pc.close();
      if (this.session) closeSession(this.session, { token: this.token });
      this.session = null;
      this.pc = null;
    }
  }

  /**
   * Resolves when nothing more is to be hoped for from `pc`.
   * @param {RTCPeerConnection} pc
   * @param {string} answer
   * @param {AbortSignal} stopped
   * @returns {Promise<SessionEnd>}
   */
  #untilOver(pc, answer, stopped) {
    return new Promise((resolve) => {
      let connected = false;
      const over = () => {
        clearTimeout(timer);
        stopped.removeEventListener("abort", over);
        resolve({ status: connected ? { state: "lost" } : { state: "blocked", candidates: candidatesOf(answer) } });
      };
      let timer = setTimeout(over, CONNECT_MS);
      const onConnected = () => {
        clearTimeout(timer);
        if (connected) return;
        connected = true;
        // A server that says goodbye closes DTLS; the connection's own state would take seconds to notice.
        const transport = pc.getReceivers()[0].transport;
        if (transport) transport.onstatechange = () => /closed|failed/.test(transport.state) && over();
        this.#become({ state: "connected" });
      };
      pc.onconnectionstatechange = () => {
        if (pc.connectionState === "connected") onConnected();
        if (/closed|failed/.test(pc.connectionState)) over();
        if (pc.connectionState === "disconnected" && connected) timer = setTimeout(over, SILENCE_MS);
      };
      stopped.addEventListener("abort", over);
    });
  }

  /**
   * @param {number} ms
   * @param {AbortSignal} stopped
   */
  #pause(ms, stopped) {
    return new Promise((resolve) => {
      const timer = ms === Infinity ? 0 : setTimeout(done, ms);
      function done() {
        clearTimeout(timer);
        stopped.removeEventListener("abort", done);
        resolve(undefined);
      }
      stopped.addEventListener("abort", done);
      this.#wake = done;
    });
  }
}

/** @typedef {import("./types").SessionEnd} SessionEnd */

/**
 * @param {unknown} error
 * @returns {SessionEnd}
 */
function refusalEnd(error) {
  if (error instanceof WishError) {
    const { problem, retryAfterMs } = error;
    return { status: { state: stateOf(problem.status), problem }, retryAfterMs };
  }
  // Our own browser choked, mostly on the answer: as good as a codec that it does not have.
  const problem = { status: 0, code: "browser", title: String(error), detail: "", fix: "" };
  return { status: { state: "unsupported", problem } };
}

/** @param {number} status @returns {import("./types").WhepState} */
function stateOf(status) {
  if (status === 404 || status === 409) return "offline";
  if (status === 401 || status === 403) return "refused";
  if (status === 0 || status === 429 || status >= 500) return "unreachable";
  return "unsupported";
}

/**
 * How long to wait before the next offer. A little random, so that a thousand viewers do not come as one.
 * @param {SessionEnd} end
 * @param {number} failures in a row
 */
function delayMs({ status: { state }, retryAfterMs }, failures) {
  const spread = 1 + Math.random() / 4;
  const { first, most } = BACK_OFF_MS;
  switch (state) {
    case "lost":
      return 100 * Math.random();
    case "refused":
      return Infinity;
    case "offline":
      // Slowly less often: who waits for an hour does not mind four times the wait.
      return (retryAfterMs ?? OFFLINE_MS) * spread * Math.min(1 + failures / 30, 4);
    case "unsupported":
      return UNSUPPORTED_MS * spread;
    default:
      return Math.max(retryAfterMs ?? 0, Math.min(first * 2 ** (failures - 1), most)) * spread;
  }
}

/**
 * Browsers fold Opus to mono unless the receiver says that it takes both channels (RFC 7587 §7.1).
 * @param {string} sdp
 */
function inStereo(sdp) {
  const opus = /a=rtpmap:(\d+) opus\//i.exec(sdp);
  return opus ? sdp.replace(`a=fmtp:${opus[1]} `, `a=fmtp:${opus[1]} stereo=1;`) : sdp;
}

/**
 * A browser that only receives takes the round trip for 100 ms, and asks again for what it lost no sooner, unless it
 * may ask how long it is (RFC 3611 §4.4).
 * @param {string} sdp
 */
function withRoundTrip(sdp) {
  return sdp.replace(/^a=rtcp-fb:(\d+) nack\r\n/gm, "$&a=rtcp-fb:$1 rrtr\r\n");
}

/** @param {string} answer */
function candidatesOf(answer) {
  const lines = [...answer.matchAll(/^a=candidate:\S+ 1 (\S+) \d+ (\S+) (\d+) typ/gm)];
  return [...new Set(lines.map(([, transport, host, port]) => `${transport.toLowerCase()} ${host}:${port}`))];
}
