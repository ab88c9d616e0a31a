// ICE-TCP: a browser whose network lets no UDP through publishes and watches all the same.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { closePages, launch, measure, newPage, plays, publishCamera, transport } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { play, publishTest, serve } from "../lib/wtn.js";

/** Chromium as a company's policy would have it: no UDP but by a proxy, and there is none. */
const NO_UDP = "--webrtc-ip-handling-policy=disable_non_proxied_udp";
const WINDOW_MS = 3_000;
const WINDOWS_MAX = 4;
const FPS_MIN = 20;

describe("tcp", () => {
  let server;
  let barred;
  let free;
  before(async () => {
    // Two shards: a connection begins at one and its session may be at the other.
    server = await serve("tcp-serve", { args: ["--open", "--set", "shards=2"] });
    [barred, free] = await Promise.all([launch([NO_UDP]), launch()]);
  });
  after(async () => {
    await Promise.all([barred?.close(), free?.close()]);
    await server?.stop();
  });
  afterEach(() => Promise.all([closePages(barred), closePages(free)]));

  /** The transports of a stream's sessions, by role, as the server sees them. */
  async function transports(stream) {
    const { sessions } = await (await fetch(`${server.origin}/api/v1/sessions?stream=${stream}`)).json();
    return Object.fromEntries(sessions.map(({ role, transport }) => [role, transport]));
  }

  async function watch(browser, stream) {
    const page = await newPage(browser);
    await page.goto(server.watch(stream));
    await plays(page);
    return page;
  }

  /** The machine is shared: the first window counts that has its pictures. Lost packets count in all of them. */
  async function playsSmoothly(page, story) {
    for (let at = 1; ; at++) {
      const seen = await measure(page, WINDOW_MS);
      assert.equal(seen.packetsLost, 0);
      if (seen.fps >= FPS_MIN) return;
      story.diagnostic(`window ${at}: ${seen.fps} frames a second`);
      assert.ok(at < WINDOWS_MAX, `${seen.fps} frames a second`);
    }
  }

  test("LIVE-18: without UDP the watch page plays, and other viewers stay with UDP", async (story) => {
    const sender = publishTest("tcp-publish", server.whip("watched"), "VP8");
    await until("the stream is live", async () => (await server.streams()).some((each) => each.name === "watched" && each.live), {
      tell: () => sender.tail(),
    });
    const page = await watch(barred, "watched");
    assert.equal(await transport(page), "tcp");
    assert.deepEqual(await transports("watched"), { publisher: "udp", subscriber: "tcp" });
    await playsSmoothly(page, story);
    assert.deepEqual(page.faults, []);
    await page.context().close();
    await until("the viewer is gone", async () => !("subscriber" in (await transports("watched"))));

    const other = await watch(free, "watched");
    await until("UDP is preferred", async () => (await transport(other)) === "udp", { tell: () => transport(other) });
    await until("the server sees it", async () => (await transports("watched")).subscriber === "udp", {
      tell: () => transports("watched"),
    });
    const { code } = await sender.end("SIGTERM");
    assert.equal(code, 0);
  });

  test("LIVE-18: without UDP a camera is published, and everybody sees it", async (story) => {
    const camera = await newPage(barred);
    await camera.goto(server.origin);
    await publishCamera(camera, "published", { codec: "VP8" });
    assert.equal(await transport(camera), "tcp");
    const page = await watch(free, "published");
    await playsSmoothly(page, story);
    assert.equal((await transports("published")).publisher, "tcp");
    await play("tcp-play", server.whep("published"), "vp8+opus");
    assert.deepEqual([...camera.faults, ...page.faults], []);
    const text = await (await fetch(`${server.origin}/metrics`)).text();
    assert.match(text, /^wtn_sessions_by_transport\{transport="tcp"\} 1$/m);
    assert.match(text, /^wtn_tcp_received_total [1-9]/m);
  });

  test("LIVE-18: off, there is no TCP candidate", async () => {
    const off = await serve("tcp-off", { args: ["--open", "--set", "media.tcp=false"] });
    const page = await newPage(barred);
    await page.goto(off.origin);
    const answer = await page.evaluate(async () => {
      const connection = new RTCPeerConnection();
      connection.addTransceiver("audio", { direction: "sendonly" });
      await connection.setLocalDescription();
      const headers = { "Content-Type": "application/sdp" };
      const response = await fetch("/whip/off", { method: "POST", headers, body: connection.localDescription.sdp });
      return response.text();
    });
    assert.match(answer, / udp /);
    assert.doesNotMatch(answer, / tcp /);
    await page.context().close();
    await off.stop();
  });
});
