// The layers of a picture as a menu has them: what the server tells in, lines for people out. Pure.

/** @typedef {import("./types").Layer} Layer */

/**
 * The choices that a `layers` event leaves, the best first: sizes of the picture, each with all the frames that it has. How many
 * frames a line carries is for the server to find out.
 * @param {Record<string, Layer[]>} told
 * @returns {import("./types").LayerChoice[]}
 */
export function choicesOf(told) {
  const [mediaId, layers = []] = Object.entries(told)[0] ?? [];
  if (mediaId === undefined) return [];
  /** @type {Map<string, Layer>} */
  const whole = new Map();
  for (const layer of layers) {
    const known = whole.get(idOf(layer));
    if ((layer.temporalLayerId ?? 0) >= (known?.temporalLayerId ?? 0)) whole.set(idOf(layer), layer);
  }
  const best = [...whole.values()].sort((a, b) => pixels(b) - pixels(a) || (b.bitrate ?? 0) - (a.bitrate ?? 0));
  return best.map((layer) => ({
    id: idOf(layer),
    label: sizeOf(layer),
    detail: layer.bitrate ? rate(layer.bitrate) : "not sent now",
    active: Boolean(layer.bitrate),
    mediaId,
    selection: { mediaId, rid: layer.rid, spatialLayerId: layer.spatialLayerId },
  }));
}

/** @param {Layer} layer */
const idOf = ({ rid, spatialLayerId }) => JSON.stringify([rid, spatialLayerId]);

/** @param {Layer} layer */
const pixels = ({ width = 0, height = 0 }) => width * height;

/** @param {Layer} layer */
function sizeOf({ rid, spatialLayerId, width, height }) {
  if (width && height) return `${width}×${height}`;
  return `Layer ${rid ?? spatialLayerId ?? ""}`.trim();
}

/** @param {number} bitrate */
function rate(bitrate) {
  const kbps = bitrate / 1000;
  return kbps < 1000 ? `${Math.round(kbps)} kbit/s` : `${(kbps / 1000).toFixed(1)} Mbit/s`;
}
