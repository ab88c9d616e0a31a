// A server that sends its clients to another one (RFC 9725 §4.5): by what browsers, OBS and our own client do then.

import assert from "node:assert/strict";
import { request } from "node:http";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { closePages, inbound, launch, newPage, publishCamera } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { binary, serve, start } from "../lib/wtn.js";

const OFFER = fileURLToPath(new URL("../../ground/sdp/tests/fixtures/offers/pub-obs.sdp", import.meta.url));

describe("redirects", () => {
  let browser, far, near;
  before(async () => {
    browser = await launch();
    const keys = (key) => ["--set", `auth.publish_keys=["${key}"]`, "--set", `auth.play_keys=["${key}-watch"]`];
    const between = ["--set", "http.handoff_secret=between-us"];
    far = await serve("redirect-far", { args: [...keys("far"), ...between] });
    const redirects = ["--set", `redirects=[{names = "*", to = "${far.origin}"}]`];
    near = await serve("redirect-near", { args: [...keys("near"), ...between, ...redirects] });
  });
  afterEach(() => closePages(browser));
  after(async () => {
    try {
      await Promise.all([near?.stop(), far?.stop()]);
    } finally {
      await browser?.close();
    }
  });

  const isLive = async (name) => {
    const streams = await fetch(`${far.origin}/api/v1/streams`, { headers: { Authorization: "Bearer far-watch" } });
    return (await streams.json()).some((each) => each.name === name && each.live);
  };

  test("LB-01 LB-02 LB-03 a browser publishes and watches at one server, and is served by the other", async () => {
    const camera = await newPage(browser);
    await camera.goto(near.origin);
    await publishCamera(camera, "browser", { codec: "VP8", token: "near" });
    await until("the other server has it", () => isLive("browser"));

    const viewer = await newPage(browser);
    await viewer.goto(near.origin);
    const location = await viewer.evaluate(async () => {
      const pc = new RTCPeerConnection();
      for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
      await pc.setLocalDescription();
      const headers = { "Content-Type": "application/sdp", Authorization: "Bearer near-watch" };
      const reply = await fetch("/whep/browser", { method: "POST", headers, body: pc.localDescription.sdp });
      await pc.setRemoteDescription({ type: "answer", sdp: await reply.text() });
      return { status: reply.status, session: reply.headers.get("Location") };
    });
    assert.equal(location.status, 201);
    assert.ok(location.session.startsWith(`${far.origin}/`), location.session);
    await until("pictures are decoded", async () => (await inbound(viewer)).video?.framesDecoded > 20, {
      tell: () => inbound(viewer),
    });
    const ended = await viewer.evaluate(async (url) => (await fetch(url, { method: "DELETE" })).status, location.session);
    assert.equal(ended, 200);
    assert.deepEqual([...camera.faults, ...viewer.faults], []);
  });

  test("LB-01 LB-03 OBS' way: the POST again with body and token, an absolute Location, DELETE there", async () => {
    const body = readFileSync(OFFER);
    const send = (method, url, headers = {}, content = "") =>
      new Promise((resolve, reject) => {
        const asked = request(url, { method, headers: { Authorization: "Bearer near", ...headers } }, (reply) => {
          let text = "";
          reply.setEncoding("utf8").on("data", (part) => (text += part));
          reply.on("end", () => resolve({ status: reply.statusCode, location: reply.headers.location, text }));
        });
        asked.on("error", reject).end(content);
      });
    const sdp = { "Content-Type": "application/sdp" };
    const sent = await send("POST", `${near.origin}/whip/obs`, sdp, body);
    assert.equal(sent.status, 307);
    // libcurl sends the token along, and the other server has another one.
    const taken = await send("POST", sent.location, sdp, body);
    assert.equal(taken.status, 201, taken.text);
    assert.ok(taken.text.startsWith("v=0\r\n"));
    // One Location for each redirect, and one more; it begins with "http", so OBS takes it as it is.
    assert.ok(taken.location.startsWith(`${far.origin}/session/`), taken.location);
    assert.equal((await send("DELETE", taken.location)).status, 200);
    assert.equal((await send("GET", taken.location)).status, 404);
  });

  test("LB-04 our own publisher and player follow, and end well", async () => {
    const wtn = (name, ...args) => start(name, binary(), args);
    const sender = wtn("redirect-publish", "publish", "test", "--loop", "--to", near.whip("own"), "--key", "near");
    await until("the other server has it", () => isLive("own"), { tell: () => sender.tail() });
    const watch = ["--key", "near-watch", "--for", "2s", "--expect", "h264+opus"];
    const player = wtn("redirect-play", "play", near.whep("own"), ...watch);
    assert.equal((await player.exited).code, 0, player.tail());
    assert.equal((await sender.end()).code, 0);
  });
});
