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
  if (firstPictureMs !== null) lines.push(["First picture", `after ${Math.round(firstPictureMs)} ms`]);
  return [...lines, ...pathLines(report)];
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
