// Tells from a player's counters why there is a picture, or why there is none. Pure: counters and time go in.

/** @typedef {import("./types").Counts} Counts */

/** A slide show may send one frame a second; slower than this it has stopped. */
const STILL_MS = 2_500;
/** A decoder that works shows the first whole frame at once; a slow machine may take a moment. */
const UNDECODABLE_MS = 3_000;
const SOUND_ONLY_MS = 3_000;
const COUNTED = /** @type {const} */ (["packets", "frames", "decoded", "sound"]);

/** One session's watch: make a new one for each. */
export class PictureWatch {
  /** @type {Counts} */
  #last = { packets: 0, frames: 0, decoded: 0, sound: 0 };
  /** When each counter last rose from standing still. @type {Partial<Record<keyof Counts, number>>} */
  #roseAt = {};
  /** Since when whole frames have come without one being decoded. @type {number | null} */
  #fruitlessSince = null;
  /** @type {number | null} */
  #since = null;

  /**
   * @param {Counts} counts
   * @param {number} now in ms, from any clock that does not jump
   * @returns {import("./types").Picture}
   */
  observe(counts, now) {
    this.#since ??= now;
    const rose = (/** @type {keyof Counts} */ key) => counts[key] > this.#last[key];
    for (const key of COUNTED) if (rose(key)) this.#roseAt[key] = now;
    if (rose("decoded")) this.#fruitlessSince = null;
    else if (rose("frames")) this.#fruitlessSince ??= now;
    this.#last = counts;

    const flows = (/** @type {keyof Counts} */ key) => now - (this.#roseAt[key] ?? -Infinity) < STILL_MS;
    if (flows("decoded")) return "playing";
    if (this.#fruitlessSince !== null && now - this.#fruitlessSince > UNDECODABLE_MS && flows("frames")) {
      return "undecodable";
    }
    if (flows("packets")) return "keyframe";
    if (counts.packets) return "paused";
    return counts.sound && now - this.#since > SOUND_ONLY_MS ? "sound" : "nothing";
  }
}

/**
 * Adds up what `getStats()` reports.
 * @param {RTCStatsReport} report
 * @returns {Counts}
 */
export function countsOf(report) {
  const counts = { packets: 0, frames: 0, decoded: 0, sound: 0 };
  for (const stat of report.values()) {
    if (stat.type !== "inbound-rtp") continue;
    if (stat.kind === "audio") counts.sound += stat.packetsReceived ?? 0;
    if (stat.kind !== "video") continue;
    counts.packets += stat.packetsReceived ?? 0;
    counts.frames += stat.framesReceived ?? 0;
    counts.decoded += stat.framesDecoded ?? 0;
  }
  return counts;
}
