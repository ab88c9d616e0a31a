// What the watch page says, and when: states in, sentences out. Pure, so that every sentence can be tested.

/** @typedef {import("./types").Words} Words */
/** @typedef {import("./types").WhepStatus} WhepStatus */
/** @typedef {import("./types").Picture} Picture */

/**
 * @param {string} stream its name
 * @param {WhepStatus} status
 * @param {Picture} picture
 * @param {string[]} missing video codecs of the stream that this browser cannot decode
 * @returns {Words | null} null when the picture speaks for itself
 */
export function wordsFor(stream, status, picture, missing) {
  switch (status.state) {
    case "connected":
      return wordsForPicture(picture, missing);
    case "connecting":
      return { title: "Connecting", text: "", busy: true };
    case "offline":
      return {
        title: `${stream} is offline`,
        text: "Nobody is sending to it. The picture starts by itself when the publisher comes.",
        busy: true,
      };
    case "refused":
      return { title: "A key is needed", text: told(status, "Ask whoever runs this stream."), busy: false };
    case "unsupported":
      return missing.length ? cannotDecode(missing) : unsupported(status);
    case "unreachable":
      return {
        title: status.problem?.title ?? "The server does not answer",
        text: `${told(status, "")} Trying again by itself.`.trim(),
        busy: true,
      };
    case "blocked":
      return blocked(status.candidates ?? []);
    case "lost":
      return { title: "The connection is gone", text: "Connecting again.", busy: true };
    case "stopped":
      return { title: "Stopped", text: "", busy: false };
  }
}

/**
 * @param {Picture} picture
 * @param {string[]} missing
 * @returns {Words | null}
 */
function wordsForPicture(picture, missing) {
  switch (picture) {
    case "nothing":
      return { title: "Connected", text: "Waiting for the first packets.", busy: true };
    case "keyframe":
      return {
        title: "Waiting for a keyframe",
        text:
          "Packets arrive; the picture starts with the next keyframe. " +
          "If this takes long, the publisher should set its keyframe interval to 1 s.",
        busy: true,
      };
    case "undecodable":
      return cannotDecode(missing.length ? missing : ["this video"]);
    case "paused":
      return {
        title: "The publisher has stopped sending",
        text: "The picture goes on by itself when it is back.",
        busy: true,
      };
    case "sound":
      return { title: "Sound only", text: "This stream has no picture.", busy: false };
    case "playing":
      return null;
  }
}

/** @param {string[]} codecs @returns {Words} */
function cannotDecode(codecs) {
  return {
    title: `This browser cannot decode ${codecs.map(spoken).join(" or ")}`,
    text: "Try another browser, or have the publisher send H.264, which all of them decode.",
    busy: false,
  };
}

/** @param {WhepStatus} status @returns {Words} */
function unsupported(status) {
  return {
    title: status.problem?.title ?? "This browser cannot play the stream",
    text: told(status, "Try another browser."),
    busy: false,
  };
}

/** @param {string[]} candidates @returns {Words} */
function blocked(candidates) {
  const where = candidates.length ? ` to ${candidates.join(" or ")}` : "";
  const port = candidates.find((candidate) => candidate.startsWith("udp"))?.match(/\d+$/)?.[0];
  return {
    title: "The media cannot get through",
    text:
      `This page came through, but nothing answered our packets${where}. ` +
      `Open UDP port ${port ?? "of the server"} in the server's firewall, and map it if the server is behind NAT ` +
      "or in a container. Trying again by itself.",
    busy: true,
  };
}

/**
 * The server's explanation and its advice, or `otherwise`.
 * @param {WhepStatus} status
 * @param {string} otherwise
 */
function told({ problem }, otherwise) {
  return [problem?.detail, problem?.fix].filter(Boolean).join(" ") || otherwise;
}

/** @param {string} codec as in SDP */
const spoken = (codec) => codec.replace(/^H(26\d)$/i, "H.$1");
