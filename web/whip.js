// A WHIP client (RFC 9725): sends one MediaStream to one endpoint.

import { closeSession, openSession } from "./wish.js";

/**
 * @typedef {object} WhipOptions
 * @property {string} [token] the publish key
 * @property {string} [codec] name of the wanted video codec: H264, VP8, VP9, AV1, H265
 * @property {number} [maxBitrate] of the video, in bit/s
 */

export class WhipClient extends EventTarget {
  /** @type {RTCPeerConnection | null} */
  pc = null;
  /** @type {import("./types").WishSession | null} */
  session = null;

  /**
   * @param {string} endpoint
   * @param {WhipOptions} [options]
   */
  constructor(endpoint, options = {}) {
    super();
    this.endpoint = endpoint;
    this.options = options;
  }

  /**
   * Starts sending. Resolves once the server has accepted the offer; a `state` event tells the rest
   * (`detail` is an RTCPeerConnectionState).
   * @param {MediaStream} media at most one audio and one video track
   * @throws {import("./wish.js").WishError}
   */
  async publish(media) {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.pc = pc;
    pc.onconnectionstatechange = () =>
      this.dispatchEvent(new CustomEvent("state", { detail: pc.connectionState }));
    for (const track of media.getTracks()) this.#send(pc, track, media);
    try {
      await pc.setLocalDescription();
      // The server is ICE-lite: it learns our addresses from our checks, so nothing waits for candidates.
      const sdp = /** @type {RTCSessionDescription} */ (pc.localDescription).sdp;
      this.session = await openSession(this.endpoint, sdp, this.options);
      addEventListener("pagehide", this.stop);
      await pc.setRemoteDescription({ type: "answer", sdp: this.session.answer });
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Ends the session on both sides. */
  stop = () => {
    removeEventListener("pagehide", this.stop);
    if (this.session) closeSession(this.session, this.options);
    this.session = null;
    this.pc?.close();
    this.pc = null;
  };

  /**
   * @param {RTCPeerConnection} pc
   * @param {MediaStreamTrack} track
   * @param {MediaStream} media
   */
  #send(pc, track, media) {
    const { codec, maxBitrate } = this.options;
    const video = track.kind === "video";
    const sendEncodings = video && maxBitrate ? [{ maxBitrate }] : undefined;
    const transceiver = pc.addTransceiver(track, { direction: "sendonly", streams: [media], sendEncodings });
    if (video && codec) transceiver.setCodecPreferences(preferring(codec));
  }
}

/**
 * The browser's video codecs with `name` first; repair formats stay where they are.
 * @param {string} name
 */
function preferring(name) {
  const wanted = `video/${name}`.toLowerCase();
  const all = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  const rank = (/** @type {{mimeType: string}} */ codec) => Number(codec.mimeType.toLowerCase() !== wanted);
  if (all.every(rank)) throw new Error(`this browser cannot send ${name}`);
  return [...all].sort((a, b) => rank(a) - rank(b));
}
