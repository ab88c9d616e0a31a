// Stacks that share no code with the server, the browsers or the binary's own client.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inTime, until } from "../lib/until.js";
import { play, publishTest, serve, start } from "../lib/wtn.js";

const E2E = fileURLToPath(new URL("../", import.meta.url));
const CONNECT_MS = 20_000;

describe("stacks", () => {
  let server;
  before(async () => {
    // libnice offers no loopback addresses, and reaches none: it needs the machine's own.
    server = await serve("stacks-serve", { media: "0.0.0.0:0" });
  });
  after(() => server?.stop());

  const aiortc = (name, ...args) => start(name, `${E2E}.venv/bin/python`, [`${E2E}aiortc_client.py`, ...args]);
  // Debian's own Python: it has GStreamer's bindings, and is seldom the first on a developer's path.
  const gstreamer = (name, ...args) => start(name, "/usr/bin/python3", [`${E2E}gstreamer_publish.py`, ...args]);
  const connected = (run) => run.line("is connected", (line) => line.includes('"connected": true'), CONNECT_MS);
  const isLive = (stream) => async () => (await server.streams()).some((each) => each.name === stream && each.live);

  for (const codec of ["vp8", "h264"]) {
    for (const [name, publisher] of Object.entries({ aiortc, gstreamer })) {
      test(`${name} publishes ${codec}, the binary's player sees it`, async () => {
        const stream = `${name}-${codec}`;
        const args = name === "aiortc" ? ["publish"] : [];
        const sender = publisher(`stacks-${stream}`, ...args, server.whip(stream), "--codec", codec);
        await connected(sender);
        await play(`stacks-play-${stream}`, server.whep(stream), `${codec}+opus`);
        const { code } = await sender.end("SIGTERM");
        assert.equal(code, 0, sender.tail());
        await until("the stream is over", async () => !(await isLive(stream)()));
      });
    }

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
