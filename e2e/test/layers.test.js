// Chromium sends layers, and another one decodes the lower of them as if the upper had never been.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { closePages, inbound, launch, newPage } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { serve } from "../lib/wtn.js";

/** What Chromium is asked to send, what a viewer asks for, and what it is then to get of 640 × 360 at 30 a second. */
const CASES = [
  { codec: "VP8", mode: "L1T3", layer: { temporalLayerId: 0 }, width: 640, fps: [4, 12] },
  { codec: "VP9", mode: "L2T3_KEY", layer: { spatialLayerId: 0 }, width: 320, fps: [15, 31] },
  { codec: "VP9", mode: "L2T3", layer: { spatialLayerId: 0, temporalLayerId: 1 }, width: 320, fps: [8, 20] },
  // The only one that needs the dependency descriptor, which pages must ask for.
  { codec: "AV1", mode: "L1T3", layer: { temporalLayerId: 0 }, width: 640, fps: [4, 12] },
];
const WINDOW_MS = 4_000;

describe("layers within an encoding", () => {
  let server;
  let browser;
  before(async () => {
    server = await serve("layers-serve");
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(() => closePages(browser));

  /** Publishes the fake camera in that mode; the answer is its page. */
  async function publish(stream, codec, mode) {
    const page = await newPage(browser);
    await page.goto(server.origin);
    await page.evaluate(
      async ({ stream, codec, mode }) => {
        const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360, frameRate: 30 } });
        const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
        const [track] = media.getVideoTracks();
        const sendEncodings = [{ scalabilityMode: mode, maxBitrate: 1_500_000 }];
        const transceiver = pc.addTransceiver(track, { direction: "sendonly", streams: [media], sendEncodings });
        const codecs = RTCRtpSender.getCapabilities("video").codecs;
        transceiver.setCodecPreferences(codecs.filter((each) => each.mimeType === `video/${codec}` || each.mimeType === "video/rtx"));
        if (codec === "AV1") {
          const extensions = transceiver.getHeaderExtensionsToNegotiate();
          for (const each of extensions) if (each.uri.includes("dependency-descriptor")) each.direction = "sendrecv";
          transceiver.setHeaderExtensionsToNegotiate(extensions);
        }
        await pc.setLocalDescription();
        const reply = await fetch(`/whip/${stream}`, {
          method: "POST",
          headers: { "Content-Type": "application/sdp" },
          body: pc.localDescription.sdp,
        });
        if (reply.status !== 201) throw new Error(`${reply.status}: ${await reply.text()}`);
        await pc.setRemoteDescription({ type: "answer", sdp: await reply.text() });
        window.local = document.body.appendChild(Object.assign(document.createElement("video"), { srcObject: media, muted: true }));
        await window.local.play();
      },
      { stream, codec, mode },
    );
    await until(`${stream} is published`, () => page.evaluate(() => window.connections[0].connectionState === "connected"));
    return page;
  }

  /** Watches it with a plain player; `ask` sends a layer selection. */
  async function watch(stream) {
    const page = await newPage(browser);
    await page.goto(server.origin);
    await page.evaluate(async (stream) => {
      const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
      const transceiver = pc.addTransceiver("video", { direction: "recvonly" });
      const extensions = transceiver.getHeaderExtensionsToNegotiate?.() ?? [];
      for (const each of extensions) if (each.uri.includes("dependency-descriptor")) each.direction = "sendrecv";
      transceiver.setHeaderExtensionsToNegotiate?.(extensions);
      window.remote = document.body.appendChild(Object.assign(document.createElement("video"), { muted: true }));
      pc.ontrack = ({ track }) => {
        window.remote.srcObject = new MediaStream([track]);
        window.remote.play();
      };
      await pc.setLocalDescription();
      const reply = await fetch(`/whep/${stream}`, {
        method: "POST",
        headers: { "Content-Type": "application/sdp" },
        body: pc.localDescription.sdp,
      });
      if (reply.status !== 201) throw new Error(`${reply.status}: ${await reply.text()}`);
      await pc.setRemoteDescription({ type: "answer", sdp: await reply.text() });
      window.layerUrl = /<([^>]+)>[^,]*urn:ietf:params:whep:ext:core:layer/.exec(reply.headers.get("Link"))?.[1];
    }, stream);
    return page;
  }

  async function ask(page, layer) {
    const status = await page.evaluate(async (layer) => {
      const body = JSON.stringify({ mediaId: "0", ...layer });
      const reply = await fetch(window.layerUrl, { method: "POST", headers: { "Content-Type": "application/json" }, body });
      return reply.status;
    }, layer);
    assert.equal(status, 200);
  }

  /** Average of the picture in 8 × 8 fields: what a broken reference smears. */
  const fields = (page, name) =>
    page.evaluate((name) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 8, height: 8 });
      const context = canvas.getContext("2d");
      context.drawImage(window[name], 0, 0, 8, 8);
      return [...context.getImageData(0, 0, 8, 8).data];
    }, name);

  const video = async (page) => (await inbound(page)).video;

  for (const { codec, mode, layer, width, fps } of CASES) {
    test(`RTP-11 ${codec} ${mode}: a viewer of ${JSON.stringify(layer)} decodes it without a fault`, async (story) => {
      const stream = `layers-${codec}-${mode}`;
      const camera = await publish(stream, codec, mode);
      const page = await watch(stream);
      await until("all of it plays", async () => (await video(page))?.frameWidth === 640, { within: 30_000, tell: () => video(page) });
      await until("the layers are known", async () => (await ask(page, layer)) === undefined, { within: 15_000 });
      // The switch itself: a keyframe where layers are spatial.
      const chosen = async () => {
        const { frameWidth, framesPerSecond } = (await video(page)) ?? {};
        return frameWidth === width && framesPerSecond >= fps[0] && framesPerSecond <= fps[1];
      };
      await until("the layer is there", chosen, { within: 20_000, tell: () => video(page) });
      const before = await video(page);
      const after = await until(
        "the window is over",
        async () => {
          const now = await video(page);
          return now.timestamp - before.timestamp >= WINDOW_MS && now;
        },
        { within: WINDOW_MS + 10_000 },
      );
      const seconds = (after.timestamp - before.timestamp) / 1000;
      const rate = (after.framesDecoded - before.framesDecoded) / seconds;
      story.diagnostic(`${rate.toFixed(1)} pictures a second of ${after.frameWidth} × ${after.frameHeight}`);
      assert.ok(rate >= fps[0] && rate <= fps[1], `${rate} pictures a second`);
      assert.deepEqual(
        [after.frameWidth, after.pliCount - before.pliCount, after.packetsLost],
        [width, 0, 0],
        "width, keyframes asked for, packets lost",
      );
      // The whole number of what came was decoded: nothing waits for what was left out.
      assert.ok(after.framesReceived - after.framesDecoded - after.framesDropped <= 3, JSON.stringify(after));
      const [sent, seen] = [await fields(camera, "local"), await fields(page, "remote")];
      const off = sent.reduce((sum, value, at) => sum + Math.abs(value - seen[at]), 0) / sent.length;
      story.diagnostic(`${off.toFixed(1)} of 255 off`);
      assert.ok(off < 30, `the picture is ${off} of 255 off`);
      assert.deepEqual([...camera.faults, ...page.faults], []);
    });
  }
});
