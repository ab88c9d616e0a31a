// ICE restarts and counter-offers with a real browser, and with the binary's own player.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { closePages, inbound, launch, newPage } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { play, publishTest, serve } from "../lib/wtn.js";

/** What a plain WHIP or WHEP client does, kept in `window` so that a test can look and touch. */
async function install(page, origin) {
  await page.goto(origin);
  await page.evaluate(() => {
    const sdp = { "Content-Type": "application/sdp" };
    const value = (text, name) => text.match(new RegExp(`a=${name}:(.*)\r\n`))[1];

    window.join = async (url, media) => {
      const pc = (window.pc = new RTCPeerConnection());
      for (const kind of ["audio", "video"]) {
        const track = media?.getTracks().find((each) => each.kind === kind);
        pc.addTransceiver(track ?? kind, { direction: media ? "sendonly" : "recvonly", streams: media ? [media] : [] });
      }
      await pc.setLocalDescription();
      const reply = await fetch(url, { method: "POST", headers: sdp, body: pc.localDescription.sdp });
      if (reply.status !== 201) return reply.status;
      window.session = reply.headers.get("Location");
      window.answer = await reply.text();
      await pc.setRemoteDescription({ type: "answer", sdp: window.answer });
      return reply.status;
    };

    window.restart = async () => {
      const { pc } = window;
      pc.restartIce();
      await pc.setLocalDescription();
      const offer = pc.localDescription.sdp;
      const body = `a=ice-ufrag:${value(offer, "ice-ufrag")}\r\na=ice-pwd:${value(offer, "ice-pwd")}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n`;
      const headers = { "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": "*" };
      const reply = await fetch(window.session, { method: "PATCH", headers, body });
      const fragment = await reply.text();
      for (const name of ["ice-ufrag", "ice-pwd"]) {
        const [before, after] = [value(window.answer, name), value(fragment, name)];
        window.answer = window.answer.replaceAll(`a=${name}:${before}\r\n`, `a=${name}:${after}\r\n`);
      }
      await pc.setRemoteDescription({ type: "answer", sdp: window.answer });
      return { status: reply.status, tag: reply.headers.get("ETag"), ufrag: value(offer, "ice-ufrag") };
    };

    /** The restart is over when the transport goes by the new user fragment and is connected. */
    window.transport = async () => {
      const stats = [...(await window.pc.getStats()).values()];
      const { iceLocalUsernameFragment: ufrag, iceState, dtlsState } = stats.find((each) => each.type === "transport");
      return { ufrag, iceState, dtlsState, connection: window.pc.connectionState };
    };
  });
}

async function connected(page, ufrag) {
  const transport = () => page.evaluate(() => window.transport());
  await until("connected", async () => {
    const now = await transport();
    const isIt = !ufrag || now.ufrag === ufrag;
    return isIt && now.iceState === "connected" && now.dtlsState === "connected" && now.connection === "connected";
  }, { within: 20_000, tell: transport });
}

/** Frames go on from now. */
async function framesGoOn(page) {
  const decoded = async () => (await inbound(page)).video?.framesDecoded ?? 0;
  const from = await decoded();
  await until("frames go on", async () => (await decoded()) > from + 30, { within: 30_000, tell: decoded });
}

describe("restart", () => {
  let server;
  let browser;
  before(async () => {
    server = await serve("restart-serve", { args: ["--open", "--set", "streams.counter_offer=true"] });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(() => closePages(browser));

  async function camera(stream) {
    const page = await newPage(browser);
    await install(page, server.origin);
    const status = await page.evaluate(async (url) => {
      const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
      return window.join(url, media);
    }, server.whip(stream));
    assert.equal(status, 201);
    await connected(page);
    return page;
  }

  async function watch(stream) {
    const page = await newPage(browser);
    await install(page, server.origin);
    await until("somebody publishes", async () => (await page.evaluate((url) => window.join(url), server.whep(stream))) === 201);
    await connected(page);
    return page;
  }

  test("SESS-15 SESS-18 a publisher and a viewer restart ICE, and frames go on", async () => {
    const sender = await camera("live");
    const viewer = await watch("live");
    await framesGoOn(viewer);
    for (const page of [sender, viewer, sender, viewer]) {
      const restarted = await page.evaluate(() => window.restart());
      assert.equal(restarted.status, 200);
      assert.match(restarted.tag, /^"[A-Za-z0-9]+"$/);
      await connected(page, restarted.ufrag);
      await framesGoOn(viewer);
    }
    const sessions = await Promise.all([sender, viewer].map((page) => page.evaluate(async () => (await fetch(window.session)).status)));
    assert.deepEqual(sessions, [204, 204], "the same sessions all along");
    assert.deepEqual([...sender.faults, ...viewer.faults], []);
  });

  async function testPicture(stream) {
    const sender = publishTest(`restart-publish-${stream}`, server.whip(stream), "H264");
    await until("the stream is live", async () => (await server.streams()).some((each) => each.name === stream && each.live), {
      tell: () => sender.tail(),
    });
  }

  test("WHEP-13 WHEP-14 WHEP-16 a browser answers the server's offer and sees the picture", async () => {
    await testPicture("countered");
    const page = await newPage(browser);
    await install(page, server.origin);
    const statuses = await page.evaluate(async (url) => {
      const sdp = { "Content-Type": "application/sdp" };
      const first = new RTCPeerConnection();
      first.addTransceiver("video", { direction: "recvonly" });
      await first.setLocalDescription();
      const body = first.localDescription.sdp.replaceAll("H264/90000", "H263/90000");
      first.close();
      const offered = await fetch(url, { method: "POST", headers: sdp, body });
      if (offered.status !== 406) return [offered.status];
      const pc = (window.pc = new RTCPeerConnection());
      await pc.setRemoteDescription({ type: "offer", sdp: await offered.text() });
      await pc.setLocalDescription();
      const answered = await fetch(offered.headers.get("Location"), { method: "PATCH", headers: sdp, body: pc.localDescription.sdp });
      return [offered.status, answered.status];
    }, server.whep("countered"));
    assert.deepEqual(statuses, [406, 204]);
    await connected(page);
    await until("video arrives", async () => (await inbound(page)).video?.framesReceived > 30, {
      within: 30_000,
      tell: () => inbound(page),
    });
  });

  test("WHEP-16 the binary's player answers the server's offer", async () => {
    await testPicture("played");
    // Spoils every offer on its way, so that only a counter-offer can help.
    const statuses = [];
    const spoiler = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request) body += chunk;
      if (request.method === "POST") body = body.replaceAll("H264/90000", "H263/90000");
      const headers = { "Content-Type": request.headers["content-type"] ?? "" };
      const init = { method: request.method, headers, ...(body && { body }) };
      const reply = await fetch(new URL(request.url, server.origin), init);
      statuses.push(`${request.method} ${reply.status}`);
      const text = await reply.text();
      response.writeHead(reply.status, Object.fromEntries(reply.headers)).end(text);
    });
    await new Promise((resolve) => spoiler.listen(0, "127.0.0.1", resolve));
    try {
      await play("restart-play", `http://127.0.0.1:${spoiler.address().port}/whep/played`, "h264+opus");
    } finally {
      spoiler.closeAllConnections();
      spoiler.close();
    }
    assert.deepEqual(statuses.slice(0, 2), ["POST 406", "PATCH 204"]);
  });
});
