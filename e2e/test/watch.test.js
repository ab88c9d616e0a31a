// The watch page in front of the real server, through what happens to a stream in its life.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { closePages, grab, inbound, launch, newPage, plays, publishCamera, says } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { publishTest, serve } from "../lib/wtn.js";

/** A viewer waits this long for a publisher to come back; short, or the tests would wait as long. */
const GRACE = ["--open", "--set", "streams.grace_seconds=4"];

describe("watch", () => {
  let server;
  let browser;
  before(async () => {
    server = await serve("watch-serve", { args: GRACE });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(() => closePages(browser));

  async function watching(stream, options) {
    const page = await newPage(browser, options);
    await page.goto(server.watch(stream));
    return page;
  }

  const decoded = async (page) => (await inbound(page)).video?.framesDecoded ?? 0;
  const connections = (page) => page.evaluate(() => window.connections.length);

  async function goesOn(page) {
    await plays(page);
    const seen = await decoded(page);
    await until("new frames are decoded", async () => (await decoded(page)) > seen + 10);
  }

  test("offline, then starts by itself when a publisher comes", async () => {
    const page = await watching("later");
    await says(page, /later is offline.*starts by itself/);
    const sender = publishTest("watch-later", server.whip("later"), "H264");
    await goesOn(page);
    await sender.end();
    assert.deepEqual(page.faults, []);
  });

  test("a publisher that dies is told of; back in time, the same session goes on", async () => {
    const sender = publishTest("watch-killed", server.whip("again"), "H264");
    const page = await watching("again");
    await goesOn(page);
    await sender.end("SIGKILL");
    await says(page, /has stopped sending/);
    const opened = await connections(page);
    const next = publishTest("watch-again", server.whip("again"), "H264");
    await goesOn(page);
    assert.equal(await connections(page), opened, "the viewer had to connect anew");
    await next.end();
  });

  test("a publisher that stays away leaves the stream offline, and the page comes back with it", async () => {
    const sender = publishTest("watch-away", server.whip("away"), "VP8");
    const page = await watching("away");
    await goesOn(page);
    await sender.end("SIGTERM");
    await says(page, /away is offline/, 15_000);
    const next = publishTest("watch-back", server.whip("away"), "VP8");
    await goesOn(page);
    await next.end();
  });

  test("another codec after the break reaches the viewer all the same", async () => {
    const sender = publishTest("watch-first", server.whip("changes"), "VP8");
    const page = await watching("changes");
    await goesOn(page);
    await sender.end("SIGTERM");
    const next = publishTest("watch-second", server.whip("changes"), "H264");
    await until("H.264 is decoded", async () => /h264/i.test((await inbound(page)).video?.mimeType) && (await decoded(page)) > 10, {
      within: 20_000,
      tell: () => inbound(page),
    });
    await plays(page);
    await next.end();
  });

  test("a second publisher takes the stream over without the viewer connecting anew", async () => {
    const camera = await newPage(browser);
    await camera.goto(server.origin);
    await publishCamera(camera, "taken", { codec: "VP8" });
    const page = await watching("taken");
    await goesOn(page);
    // The fake camera is green all over; the test picture is not.
    const greens = (picture) => picture.filter((level, at) => at % 4 === 1 && level > 2 * picture[at - 1]).length;
    const pixels = (await grab(page)).length / 4;
    assert.ok(greens(await grab(page)) > pixels / 2, "the camera's picture is not green");
    const opened = await connections(page);
    const newcomer = publishTest("watch-taken", server.whip("taken"), "VP8");
    await until("the newcomer is seen", async () => greens(await grab(page)) < pixels / 4, {
      tell: async () => (await grab(page)).slice(0, 40),
    });
    await goesOn(page);
    assert.equal(await connections(page), opened);
    await newcomer.end();
  });

  test("a codec that the browser lacks is named", async () => {
    const page = await newPage(browser);
    await page.context().addInitScript(() => {
      // A browser without H.264: it does not offer it, and does not list it.
      const without = (codecs) => codecs.filter((codec) => !/h264/i.test(codec.mimeType));
      const all = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
      RTCRtpReceiver.getCapabilities = (kind) => ({ ...all(kind), codecs: without(all(kind).codecs) });
      const add = RTCPeerConnection.prototype.addTransceiver;
      RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
        const transceiver = add.call(this, kind, init);
        if (kind === "video") transceiver.setCodecPreferences(RTCRtpReceiver.getCapabilities("video").codecs);
        return transceiver;
      };
    });
    const sender = publishTest("watch-lacking", server.whip("lacking"), "H264");
    await until("it is live", async () => (await server.streams()).some((each) => each.name === "lacking" && each.live));
    await page.goto(server.watch("lacking"));
    await says(page, /This browser cannot decode H\.264/);
    await sender.end();
  });

  test("leaving the page frees the viewer's session at once", async () => {
    const sender = publishTest("watch-leaving", server.whip("leaving"), "VP8");
    const page = await watching("leaving");
    await plays(page);
    const viewers = async () => (await server.streams()).find((each) => each.name === "leaving")?.viewers;
    assert.equal(await viewers(), 1);
    await page.goto("about:blank");
    await until("nobody watches", async () => (await viewers()) === 0, { within: 2_000, tell: viewers });
    await sender.end();
  });
});

describe("watch with keys", () => {
  test("a page without the key asks for it, and plays with it", async () => {
    const keys = ["--set", 'auth.publish_keys=["maker"]', "--set", 'auth.play_keys=["guest"]'];
    const [server, browser] = await Promise.all([serve("watch-keys", { args: keys }), launch()]);
    try {
      const camera = await newPage(browser);
      await camera.goto(server.origin);
      await publishCamera(camera, "private", { codec: "VP8", token: "maker" });
      const page = await newPage(browser);
      await page.goto(server.watch("private"));
      await page.waitForSelector("#ask:not([hidden])");
      await page.fill("#key", "guest");
      await page.keyboard.press("Enter");
      await plays(page);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
