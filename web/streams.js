// The list of streams, for the pages that need it.

import { authorization, reach, refusal } from "./wish.js";

/**
 * What is live, as far as this key may know.
 * @param {string} [token]
 * @returns {Promise<import("./types").StreamRow[]>}
 * @throws {import("./wish.js").WishError}
 */
export async function listStreams(token) {
  const response = await reach("/api/v1/streams", { headers: authorization(token) });
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/**
 * The stream's codecs that this browser has no decoder for, as the server lists them.
 * @param {string} stream
 * @param {string} [token]
 */
export async function missingCodecs(stream, token) {
  const streams = await listStreams(token).catch(() => []);
  const codecs = streams.find((each) => each.name === stream)?.codecs ?? [];
  const names = (/** @type {string} */ kind) =>
    (RTCRtpReceiver.getCapabilities(kind)?.codecs ?? []).map((codec) => codec.mimeType.split("/")[1].toLowerCase());
  const known = [...names("video"), ...names("audio")];
  return codecs.filter((codec) => !known.includes(codec.toLowerCase()));
}
