// Who ends what, and how soon everybody knows.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { launch, newPage, plays, publishCamera, says } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { STOP_MS, demo, publishTest, serve } from "../lib/wtn.js";

/** A page that is told goodbye shows it at once; one that is not finds out by silence. */
const TOLD_MS = 2_000;

describe("endings", () => {
  for (const signal of ["SIGINT", "SIGTERM"]) {
    test(`${signal} ends the demo within ${STOP_MS} ms, with a viewer watching, and the viewer knows`, async () => {
      const browser = await launch();
      try {
        const server = await demo(`endings-demo-${signal}`);
        const live = async () => (await server.streams()).find((each) => each.live);
        const { name } = await until("the demo's stream is live", live, { tell: server.streams });
        const page = await newPage(browser);
        await page.goto(server.watch(name));
        await plays(page);
        const told = says(page, /does not answer|connection is gone|Server stops/, TOLD_MS + STOP_MS);
        await server.stop(signal);
        await told;
      } finally {
        await browser.close();
      }
    });
  }

  test("a server that comes back finds its publisher and its viewer again", async () => {
    const browser = await launch();
    try {
      const first = await serve("endings-first");
      const camera = await newPage(browser);
      await camera.goto(first.origin);
      await publishCamera(camera, "live", { codec: "VP8" });
      const page = await newPage(browser);
      await page.goto(first.watch("live"));
      await plays(page);
      await first.stop();
      await says(page, /does not answer|connection is gone|Server stops/, TOLD_MS);
      const second = await serve("endings-second", { http: first.http, media: first.media });
      await publishCamera(camera, "live", { codec: "VP8" });
      await plays(page, 20_000);
      await second.stop();
    } finally {
      await browser.close();
    }
  });

  test("a publisher of the binary ends with 0 on Ctrl-C, and its stream with it", async () => {
    const server = await serve("endings-publisher");
    const sender = publishTest("endings-publish", server.whip("short"), "H264");
    const isLive = async () => (await server.streams()).some((each) => each.name === "short" && each.live);
    await until("it is live", isLive, { tell: () => sender.tail() });
    const { code } = await sender.end("SIGINT", 2_000);
    assert.equal(code, 0);
    await until("it is over", async () => !(await isLive()), { within: 2_000 });
    await server.stop();
  });
});
