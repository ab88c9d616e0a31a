// Headless Chromium with a fake camera and microphone, and what tests ask of its pages.

import { chromium } from "playwright-core";
import { until } from "./until.js";

/** Debian's Chromium; no browser is downloaded. */
const CHROMIUM = process.env.WTN_CHROMIUM ?? "/usr/bin/chromium";

const FLAGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream=fps=30",
];

/** @returns {Promise<import("playwright-core").Browser>} */
export function launch() {
  return chromium.launch({ executablePath: CHROMIUM, args: FLAGS, ignoreDefaultArgs: ["--mute-audio"] });
}

/**
 * A page of its own context. Collects what goes wrong in it and keeps hold of its peer connections.
 * @param {import("playwright-core").Browser} browser
 * @param {import("playwright-core").BrowserContextOptions} [options]
 * @returns {Promise<import("playwright-core").Page & {faults: string[]}>}
 */
export async function newPage(browser, options) {
  const context = await browser.newContext({ permissions: ["camera", "microphone"], ...options });
  await context.addInitScript(() => {
    const connections = (window.connections = []);
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) {
        super(...args);
        connections.push(this);
      }
    };
  });
  const page = /** @type {any} */ (await context.newPage());
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => {
    // A refused request is part of many stories, and Chromium logs each as an error.
    const refused = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !refused) page.faults.push(message.text());
  });
  return page;
}

/** Closes every page, so that one test's media does not slow down the next. @param {import("playwright-core").Browser} browser */
export async function closePages(browser) {
  await Promise.all(browser.contexts().map((context) => context.close()));
}

/**
 * Publishes the fake camera and microphone from `page` with wtn's own WHIP client.
 * @param {import("playwright-core").Page} page any page of the server
 * @param {string} stream
 * @param {{codec?: string, token?: string}} [options]
 */
export async function publishCamera(page, stream, options = {}) {
  await page.evaluate(
    async ({ stream, options }) => {
      const { WhipClient } = await import("/assets/whip.js");
      const video = { width: 640, height: 360, frameRate: 30 };
      const media = await navigator.mediaDevices.getUserMedia({ video, audio: true });
      window.client = new WhipClient(`/whip/${stream}`, options);
      await window.client.publish(media);
    },
    { stream, options },
  );
  await until(`${stream} is published`, () => page.evaluate(() => window.client.pc.connectionState === "connected"), {
    tell: () => page.evaluate(() => window.client.pc?.connectionState),
  });
}

/**
 * The newest connection's inbound tracks as `{video, audio}`, each the stats of that kind or null.
 * @param {import("playwright-core").Page} page
 */
export function inbound(page) {
  return page.evaluate(async () => {
    const connection = window.connections.at(-1);
    const report = connection ? [...(await connection.getStats()).values()] : [];
    const of = (kind) => {
      const stat = report.find((each) => each.type === "inbound-rtp" && each.kind === kind);
      const codec = stat && report.find((each) => each.id === stat.codecId);
      return stat ? { ...stat, mimeType: codec?.mimeType } : null;
    };
    return { video: of("video"), audio: of("audio") };
  });
}

/**
 * What `page` decodes in a window of `ms`, from its first decoded frame on.
 * @param {import("playwright-core").Page} page
 * @param {number} ms
 */
export async function measure(page, ms) {
  const before = await until("the first frame is decoded", async () => {
    const stats = await inbound(page);
    return stats.video?.framesDecoded > 0 && stats;
  }, { within: 15_000, tell: () => said(page) });
  const over = (stats) => stats.video.timestamp - before.video.timestamp >= ms;
  const after = await until("the window is over", async () => {
    const stats = await inbound(page);
    return stats.video && over(stats) && stats;
  }, { within: ms + 5_000 });
  const seconds = (after.video.timestamp - before.video.timestamp) / 1000;
  const grown = (kind, key) => (after[kind]?.[key] ?? 0) - (before[kind]?.[key] ?? 0);
  return {
    codec: after.video.mimeType,
    fps: grown("video", "framesDecoded") / seconds,
    frozenSeconds: grown("video", "totalFreezesDuration"),
    packetsLost: grown("video", "packetsLost"),
    keyframesAsked: grown("video", "pliCount"),
    audioPacketsPerSecond: grown("audio", "packetsReceived") / seconds,
    audioEnergy: grown("audio", "totalAudioEnergy"),
  };
}

/** What the watch page's card says, or "" when the picture speaks for itself. @param {import("playwright-core").Page} page */
export function said(page) {
  return page.evaluate(() =>
    document.getElementById("stage").dataset.state === "playing"
      ? ""
      : `${document.getElementById("title").textContent}. ${document.getElementById("text").textContent}`,
  );
}

/** Waits until the watch page's card matches. @param {import("playwright-core").Page} page @param {RegExp} words @param {number} within */
export function says(page, words, within = 10_000) {
  return until(`the page says ${words}`, async () => words.test(await said(page)), { within, tell: () => said(page) });
}

/** Waits until the watch page shows its picture. @param {import("playwright-core").Page} page @param {number} within */
export function plays(page, within = 15_000) {
  return until(
    "the picture plays",
    () => page.evaluate(() => document.getElementById("stage").dataset.state === "playing"),
    { within, tell: () => said(page) },
  );
}

/**
 * The picture as 32 × 18 pixels, each red, green, blue, alpha.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<number[]>}
 */
export function grab(page) {
  return page.evaluate(() => {
    const canvas = new OffscreenCanvas(32, 18);
    const paint = canvas.getContext("2d");
    paint.drawImage(document.querySelector("video"), 0, 0, 32, 18);
    return [...paint.getImageData(0, 0, 32, 18).data];
  });
}

/**
 * Publishes a moving picture in three encodings, h, m and l, from 960 × 540 down.
 * @param {import("playwright-core").Page} page any page of the server
 * @param {string} stream
 */
export async function publishSimulcast(page, stream) {
  await page.evaluate(async (stream) => {
    const { openSession } = await import("/assets/wish.js");
    const video = { width: 960, height: 540, frameRate: 15 };
    const media = await navigator.mediaDevices.getUserMedia({ video });
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    const encoding = (rid, scale, kbps) => ({ rid, scaleResolutionDownBy: scale, maxBitrate: kbps * 1000 });
    const transceiver = pc.addTransceiver(media.getVideoTracks()[0], {
      direction: "sendonly",
      sendEncodings: [encoding("h", 1, 700), encoding("m", 2, 250), encoding("l", 4, 100)],
    });
    const { codecs } = RTCRtpSender.getCapabilities("video");
    transceiver.setCodecPreferences(codecs.filter((codec) => /vp8|rtx/i.test(codec.mimeType)));
    await pc.setLocalDescription();
    // A busy machine shall send fewer pictures, not smaller ones.
    const parameters = transceiver.sender.getParameters();
    await transceiver.sender.setParameters({ ...parameters, degradationPreference: "maintain-resolution" });
    const session = await openSession(`/whip/${stream}`, pc.localDescription.sdp);
    await pc.setRemoteDescription({ type: "answer", sdp: session.answer });
    window.simulcast = pc;
  }, stream);
  await until(`${stream} is published`, () => page.evaluate(() => window.simulcast.connectionState === "connected"), {
    tell: () => page.evaluate(() => window.simulcast?.connectionState),
  });
}
