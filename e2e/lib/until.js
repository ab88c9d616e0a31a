// Waiting for things to become true. Tests never sleep for a while and hope.

import { setTimeout as pause } from "node:timers/promises";

const LOOK_EVERY_MS = 40;

/**
 * Asks `probe` until it answers something truthy, and returns that.
 * @template T
 * @param {string} what named in the failure
 * @param {() => T | Promise<T>} probe
 * @param {{within?: number, tell?: () => unknown}} [options] `within` in ms; `tell` adds to the failure's message
 */
export async function until(what, probe, { within = 10_000, tell } = {}) {
  const deadline = performance.now() + within;
  let last;
  do {
    last = await probe();
    if (last) return last;
    await pause(LOOK_EVERY_MS);
  } while (performance.now() < deadline);
  const more = tell ? `; ${JSON.stringify(await tell())}` : "";
  throw new Error(`not within ${within} ms: ${what}; last seen: ${JSON.stringify(last)}${more}`);
}

/**
 * Rejects when `promise` is not settled `within` ms.
 * @template T
 * @param {string} what
 * @param {Promise<T>} promise
 * @param {number} within
 */
export async function inTime(what, promise, within) {
  const clock = new AbortController();
  const late = pause(within, null, { signal: clock.signal }).then(
    () => Promise.reject(new Error(`not within ${within} ms: ${what}`)),
    () => new Promise(() => {}),
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    clock.abort();
  }
}
