// The HTTP half that WHIP (RFC 9725) and WHEP share: one offer in, one session URL out, one DELETE at the end.
// Knows nothing of cameras, players or pages.

/** A request that did not end in a session. */
export class WishError extends Error {
  /**
   * @param {import("./types").Problem} problem
   * @param {number | null} [retryAfterMs] what the server's Retry-After asks for
   */
  constructor(problem, retryAfterMs = null) {
    super(problem.title);
    this.problem = problem;
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Offers `sdp` to a WHIP or WHEP endpoint.
 * @param {string} endpoint
 * @param {string} sdp
 * @param {{token?: string, signal?: AbortSignal}} [options]
 * @returns {Promise<import("./types").WishSession>}
 * @throws {WishError}
 */
export async function openSession(endpoint, sdp, { token, signal } = {}) {
  const headers = { "Content-Type": "application/sdp", Accept: "application/sdp", ...authorization(token) };
  const response = await reach(endpoint, { method: "POST", headers, body: sdp, signal });
  const location = response.headers.get("Location");
  if (response.status !== 201 || !location) throw await refusal(response);
  // After a redirect the location is relative to where the answer came from, not to where we asked.
  const url = new URL(location, response.url || endpoint).href;
  const { headers: got } = response;
  return { url, etag: got.get("ETag"), links: got.get("Link"), answer: await response.text() };
}

/**
 * Ends a session. Outlives the page that calls it, and never fails: the server also notices by itself.
 * @param {import("./types").WishSession} session
 * @param {{token?: string}} [options]
 */
export async function closeSession(session, { token } = {}) {
  await fetch(session.url, { method: "DELETE", headers: authorization(token), keepalive: true }).catch(() => {});
}

/** The key of `#k=KEY`: the part of an address that browsers send to nobody. */
export const keyInAddress = () => new URLSearchParams(location.hash.slice(1)).get("k") ?? undefined;

/** @param {string} [token] @returns {Record<string, string>} */
export const authorization = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

/**
 * @param {string} url
 * @param {RequestInit} request
 */
export async function reach(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new WishError({
      status: 0,
      code: "unreachable",
      title: "The server does not answer",
      detail: String(error),
      fix: "Check that it is running and that you are online.",
    });
  }
}

/** @param {Response} response */
export async function refusal(response) {
  const seconds = Number(response.headers.get("Retry-After") || NaN);
  const told = await response.json().catch(() => null);
  const problem = {
    code: "refused",
    title: response.ok ? "The answer names no session" : `The server answered ${response.status}`,
    detail: "",
    fix: "",
    ...told,
    status: response.status,
  };
  return new WishError(problem, Number.isFinite(seconds) ? seconds * 1000 : null);
}
