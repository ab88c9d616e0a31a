// The statistics panel's lines: two getStats() reports in, label and value out.

/** @typedef {[label: string, value: string][]} Lines */

/**
 * @param {RTCStatsReport} report
 * @param {RTCStatsReport | null} before the report of about a second ago
 * @param {number | null} firstPictureMs from the page's start
 * @returns {Lines}
 */
export function statsLines(report, before, firstPictureMs) {
  /** @type {Lines} */
  const lines = [];
  const tracks = [...report.values()].filter((stat) => stat.type === "inbound-rtp" && stat.packetsReceived);
  for (const now of tracks.sort((a, b) => b.kind.localeCompare(a.kind))) {
    const then = before?.get(now.id);
    const codec = report.get(now.codecId)?.mimeType?.split("/")[1] ?? "";
    if (now.kind === "video") {
      lines.push(["Video", `${codec} ${now.frameWidth ?? 0}×${now.frameHeight ?? 0}, ${now.framesPerSecond ?? 0} fps`]);
      if (now.decoderImplementation) lines.push(["Decoder", now.decoderImplementation]);
      lines.push(["Freezes", `${now.freezeCount ?? 0}, ${(now.totalFreezesDuration ?? 0).toFixed(1)} s`]);
    } else {
      lines.push(["Audio", codec]);
    }
    lines.push([`${title(now.kind)} rate`, rate(now, then)]);
    lines.push([`${title(now.kind)} lost`, `${now.packetsLost} of ${now.packetsReceived + now.packetsLost}`]);
    lines.push([`${title(now.kind)} buffer`, buffer(now, then)]);
  }
  const delay = delayOf(report, Date.now());
  if (delay) lines.push(["Delay", delay.measured ? `${delay.ms} ms, camera to screen` : `about ${delay.ms} ms from the server (estimate)`]);
  if (firstPictureMs !== null) lines.push(["First picture", `after ${Math.round(firstPictureMs)} ms`]);
  return [...lines, ...pathLines(report)];
}

/** NTP counts from 1900. */
const NTP_TO_UNIX_MS = 2_208_988_800_000;
/** Nobody would call more than this live: the publisher's clock is wrong, or ours. */
const DELAY_MS_MAX = 10_000;

/**
 * How old the picture is. By the publisher's clock, which the reports of every hop hand on, where that and ours can
 * both be right. Otherwise what is known from here: half a round trip, and what the picture waits for in this browser.
 * @param {RTCStatsReport} report
 * @param {number} now in ms since 1970
 * @returns {{ms: number, measured: boolean} | null}
 */
export function delayOf(report, now) {
  const stats = [...report.values()];
  const video = stats.find((stat) => stat.type === "inbound-rtp" && stat.kind === "video" && stat.framesDecoded);
  if (!video) return null;
  const measured = now - ((video.estimatedPlayoutTimestamp ?? NaN) - NTP_TO_UNIX_MS);
  if (measured >= 0 && measured < DELAY_MS_MAX) return { ms: Math.round(measured), measured: true };
  const pair = report.get(stats.find((stat) => stat.type === "transport")?.selectedCandidatePairId);
  const path = ((pair?.currentRoundTripTime ?? 0) * 1000) / 2;
  const wait = ((video.jitterBufferDelay ?? 0) / (video.jitterBufferEmittedCount || 1)) * 1000;
  const decoding = ((video.totalDecodeTime ?? 0) / (video.framesDecoded || 1)) * 1000;
  return { ms: Math.round(path + wait + decoding), measured: false };
}

/** @param {string} kind */
const title = (kind) => kind[0].toUpperCase() + kind.slice(1);

/** @param {any} now @param {any} then */
function rate(now, then) {
  const seconds = (now.timestamp - (then?.timestamp ?? NaN)) / 1000;
  const kbps = ((now.bytesReceived - (then?.bytesReceived ?? 0)) * 8) / 1000 / seconds;
  return Number.isFinite(kbps) ? `${Math.round(kbps)} kbit/s` : "–";
}

/** @param {any} now @param {any} then */
function buffer(now, then) {
  const frames = now.jitterBufferEmittedCount - (then?.jitterBufferEmittedCount ?? 0);
  const delay = now.jitterBufferDelay - (then?.jitterBufferDelay ?? 0);
  return frames > 0 ? `${Math.round((delay / frames) * 1000)} ms` : "–";
}

/** @param {RTCStatsReport} report @returns {Lines} */
function pathLines(report) {
  const transport = [...report.values()].find((stat) => stat.type === "transport");
  const pair = report.get(transport?.selectedCandidatePairId);
  const remote = report.get(pair?.remoteCandidateId);
  if (!remote) return [];
  return [
    ["Server", `${remote.protocol} ${remote.address}:${remote.port}`],
    ["Round trip", `${Math.round((pair.currentRoundTripTime ?? 0) * 1000)} ms`],
  ];
}
