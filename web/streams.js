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
