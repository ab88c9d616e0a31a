// What viewers are told while they watch, and the layer that they choose: WHEP's two extensions, in real browsers.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, afterEach, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { closePages, inbound, launch, newPage, plays, publishSimulcast, said, says } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { publishTest, serve } from "../lib/wtn.js";

const PICTURES = fileURLToPath(new URL("../.logs/pictures/", import.meta.url));
/** Long enough for everything that is looked at while nobody publishes. */
const GRACE = ["--open", "--set", "streams.grace_seconds=120"];
/** Encoders start low, and take their time to reach the top layer. */
const RAMP_UP = 60_000;

describe("events and layers", () => {
  let server;
  let browser;
  before(async () => {
    mkdirSync(PICTURES, { recursive: true });
    server = await serve("events-serve", { args: GRACE });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(() => closePages(browser));

  async function watching(stream) {
    const page = await newPage(browser);
    await page.goto(server.watch(stream));
    return page;
  }

  const height = async (page) => (await inbound(page)).video?.frameHeight;
  const hasHeight = (page, what, fits, within = 30_000) =>
    until(what, async () => fits(await height(page)), { within, tell: () => height(page) });
  const lines = (page) =>
    page.evaluate(() => [...document.querySelectorAll("#choices label")].map((line) => line.innerText.replace(/\s+/g, " ")));
  const count = (page) => page.evaluate(() => document.getElementById("viewers").getAttribute("aria-label"));
  const connections = (page) => page.evaluate(() => window.connections.length);

  test("WHEP-28 and WHEP-29: a layer is picked from the menu, by keyboard too, and automatic returns", async () => {
    const camera = await newPage(browser);
    await camera.goto(server.origin);
    await publishSimulcast(camera, "layers");
    const page = await watching("layers");
    await plays(page);
    await until("three layers flow", async () => (await lines(page)).filter((line) => /bit\/s/.test(line)).length === 3, {
      within: RAMP_UP,
      tell: () => lines(page),
    });
    await hasHeight(page, "the best layer is played", (height) => height >= 400, RAMP_UP);
    await page.click("#layers");
    await page.screenshot({ path: `${PICTURES}menu.png` });
    await page.click("#choices label:last-child");
    await hasHeight(page, "the lowest layer is played", (height) => height < 200);
    assert.equal(await page.evaluate(() => document.activeElement?.closest("#menu") !== null), true);
    await page.screenshot({ path: `${PICTURES}lowest.png` });
    // Radio buttons: the arrow goes on to the next, which is the first.
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate(() => document.querySelector("#choices input:checked").value), "");
    await hasHeight(page, "automatic returns to the best", (height) => height >= 400, RAMP_UP);
    await page.keyboard.press("Escape");
    assert.equal(await page.getAttribute("#layers", "aria-expanded"), "false");
    assert.deepEqual(await page.evaluate(() => [document.activeElement?.id, localStorage.length]), ["layers", 0]);
    assert.deepEqual(page.faults, []);
  });

  test("WHEP-24 and WHEP-25: the page says who is there, when the publisher stops, and when it is back", async () => {
    const sender = publishTest("events-first", server.whip("told"), "VP8");
    const page = await watching("told");
    await plays(page);
    await until("one viewer is counted", async () => (await count(page)) === "1 viewer", { tell: () => count(page) });
    const second = await watching("told");
    await plays(second);
    await until("two viewers are counted", async () => (await count(page)) === "2 viewers", { tell: () => count(page) });
    assert.equal((await server.streams()).find((each) => each.name === "told").viewers, 2);
    await page.screenshot({ path: `${PICTURES}count.png` });
    await second.goto("about:blank");
    await until("one is counted again", async () => (await count(page)) === "1 viewer", { tell: () => count(page) });
    const opened = await connections(page);
    await sender.end();
    await says(page, /told is offline.*has stopped sending/);
    await page.screenshot({ path: `${PICTURES}offline.png` });
    const next = publishTest("events-second", server.whip("told"), "VP8");
    await plays(page);
    assert.equal(await connections(page), opened, "the same session goes on");
    assert.equal(await page.isVisible("#layers"), false, "one layer leaves no choice");
    await next.end();
    assert.deepEqual(page.faults, []);
  });

  test("WHEP-25: viewers of a server that stops are told to connect anew, and do", async () => {
    const first = await serve("events-drained", { args: GRACE });
    const sender = publishTest("events-drained-first", first.whip("moves"), "VP8");
    const page = await newPage(browser);
    await page.goto(first.watch("moves"));
    await plays(page);
    await until("it listens", async () => (await count(page)) === "1 viewer", { tell: () => count(page) });
    await page.evaluate(async () => {
      window.told = [];
      const { StreamEvents } = await import("/assets/events.js");
      const dispatch = StreamEvents.prototype.dispatchEvent;
      StreamEvents.prototype.dispatchEvent = function (event) {
        window.told.push(event.type);
        return dispatch.call(this, event);
      };
    });
    const opened = await connections(page);
    await Promise.all([first.stop(), sender.exited]);
    await until("it was told", () => page.evaluate(() => window.told.includes("reconnect")), {
      tell: () => page.evaluate(() => window.told),
    });
    await until("it tries anew", async () => (await connections(page)) > opened, { tell: () => said(page) });
  });
});
