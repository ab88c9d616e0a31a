// Stacks that share no code with the server, the browsers or the binary's own client.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { makeNamespace } from "../lib/namespace.js";
import { inTime, until } from "../lib/until.js";
import { play, publishTest, serve, start } from "../lib/wtn.js";

const E2E = fileURLToPath(new URL("../", import.meta.url));
const PYTHON = `${E2E}.venv/bin/python`;
const CONNECT_MS = 20_000;

const connected = (run) => run.line("is connected", (line) => line.includes('"connected": true'), CONNECT_MS);

/** Ends a publisher as its operator would. @param {ReturnType<typeof start>} sender */
async function endWell(sender) {
  const { code } = await sender.end("SIGTERM");
  assert.equal(code, 0, sender.tail());
}

describe("stacks", () => {
  let server;
  before(async () => {
    server = await serve("stacks-serve");
  });
  after(() => server?.stop());

  const aiortc = (name, ...args) => start(name, PYTHON, [`${E2E}aiortc_client.py`, ...args]);
  const isLive = (stream) => async () => (await server.streams()).some((each) => each.name === stream && each.live);
  const isOver = (stream) => until("the stream is over", async () => !(await isLive(stream)()));

  for (const [whose, ...flags] of [["the server's"], ["its own", "--dtls-active"]]) {
    test(`ffmpeg publishes h264 behind ${whose} DTLS hello, the binary's player sees it`, async () => {
      const stream = ["ffmpeg", ...flags].join("");
      const script = [`${E2E}ffmpeg_publish.py`, server.whip(stream), ...flags];
      const sender = start(`stacks-${stream}`, PYTHON, script);
      await connected(sender);
      await play(`stacks-play-${stream}`, server.whep(stream), "h264+opus");
      await endWell(sender);
      await isOver(stream);
    });
  }

  for (const codec of ["vp8", "h264"]) {
    test(`aiortc publishes ${codec}, the binary's player sees it`, async () => {
      const stream = `aiortc-${codec}`;
      const sender = aiortc(`stacks-${stream}`, "publish", server.whip(stream), "--codec", codec);
      await connected(sender);
      await play(`stacks-play-${stream}`, server.whep(stream), `${codec}+opus`);
      await endWell(sender);
      await isOver(stream);
    });

    test(`the binary publishes ${codec}, aiortc decodes it`, async () => {
      const stream = `to-aiortc-${codec}`;
      const sender = publishTest(`stacks-${stream}`, server.whip(stream), codec);
      await until("the stream is live", isLive(stream), { tell: () => sender.tail() });
      const player = aiortc(`stacks-aiortc-${codec}`, "play", server.whep(stream));
      const { code, stdout, stderr } = await inTime("aiortc ends", player.exited, 40_000);
      assert.equal(code, 0, stderr);
      const seen = JSON.parse(stdout);
      assert.ok(seen.pictures > 10, `${seen.pictures} different pictures`);
      assert.ok(seen.loudest > 100, `the loudest sample is ${seen.loudest}`);
      await sender.end();
    });
  }
});

// libnice offers no loopback addresses, and reaches none. The machine's own address would do, but not every machine
// has one, and there its firewall has a say.
describe("stacks beyond loopback", () => {
  let namespace, server;
  before(async () => {
    namespace = makeNamespace();
    const { host, prefix } = namespace;
    server = await serve("stacks-serve-beyond", { http: `${host}:0`, media: "0.0.0.0:0", prefix });
  });
  after(async () => {
    try {
      await server?.stop();
    } finally {
      namespace?.remove();
    }
  });

  for (const codec of ["vp8", "h264"]) {
    test(`gstreamer publishes ${codec}, the binary's player sees it`, async () => {
      const { prefix } = namespace;
      const stream = `gstreamer-${codec}`;
      // Debian's own Python: it has GStreamer's bindings, and is seldom the first on a developer's path.
      const script = [`${E2E}gstreamer_publish.py`, server.whip(stream), "--codec", codec];
      const sender = start(`stacks-${stream}`, "/usr/bin/python3", script, { prefix });
      await connected(sender);
      await play(`stacks-play-${stream}`, server.whep(stream), `${codec}+opus`, { prefix });
      await endWell(sender);
      // The server's list of streams is out of reach from here; its log is not.
      const left = (line) => line.includes(stream) && line.includes("publisher left");
      await server.line(`says that ${stream} has left`, left, 5_000);
    });
  }
});
