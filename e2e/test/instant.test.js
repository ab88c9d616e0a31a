// How soon a viewer sees the first picture of a publisher who sends keyframes rarely and ignores wishes for more, and
// whether that viewer ends up as close to the present as everybody else.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { closePages, launch, newPage } from "../lib/browser.js";
import { until } from "../lib/until.js";
import { play, publishTest, serve, start } from "../lib/wtn.js";

const E2E = fileURLToPath(new URL("../", import.meta.url));
const JOINS = Number(process.env.JOINS ?? 12);
/** The design's bar, at the 95th percentile. */
const FIRST_PICTURE_MS = 500;
const FPS = 30;
const GOP = 250;
const GOP_MS = (GOP / FPS) * 1000;
/** No simple part of a GOP: in whatever number, joins fall all over it. */
const JOIN_EVERY_MS = GOP_MS * 0.0955;
/** The one that others are compared with joins so soon after a keyframe that it has nothing to catch up with. */
const EARLY_MS = 300;
/** Half way, where speed alone meets the present, and shortly before the next keyframe, which overtakes. */
const LATE_MS = [4_000, 7_500];
/** Once when it must have caught up, and once when players have acted on a few sender reports. */
const LOOK_AFTER_MS = [3_000, 11_000];
/** Six pictures. */
const LAG_MS_MAX = 200;
/** From the encoder to the screen. */
const DELAY_MS_MAX = 250;
const PLAYS = 10;
/** The worst of them. */
const FIRST_KEYFRAME_MS = 250;
/** The machine is shared: what it holds up once says nothing of the server; what is slow by itself is so every time. */
const TRIES = 3;

/**
 * Passes with the first try that does; all figures are told.
 * @param {import("node:test").TestContext} story
 * @param {() => Promise<string | undefined>} attempt says what was amiss
 */
async function oneOf(story, attempt) {
  for (let at = 1; ; at++) {
    const amiss = await attempt();
    if (!amiss) return;
    story.diagnostic(`try ${at}: ${amiss}`);
    assert.ok(at < TRIES, amiss);
  }
}

describe("instant start", () => {
  let browser, server, publisher, page, began;
  before(async () => {
    browser = await launch();
    server = await serve("instant-serve");
    const script = [`${E2E}ffmpeg_publish.py`, server.whip("film"), "--gop", String(GOP)];
    publisher = start("instant-ffmpeg", `${E2E}.venv/bin/python`, script);
    const told = await publisher.line("is connected", (line) => line.startsWith("{") && JSON.parse(line), 20_000);
    began = told.began * 1000;
    page = await newPage(browser);
    await page.goto(server.origin);
    await page.evaluate(viewers);
    await inGop(3_500);
  });
  afterEach(() => assert.deepEqual(page?.faults, []));
  after(async () => {
    try {
      await publisher?.end("SIGTERM");
      await server?.stop();
    } finally {
      await closePages(browser);
      await browser?.close();
    }
  });

  /** Waits until the publisher is so many ms behind its last keyframe. @param {number} ms */
  const inGop = (ms) => pause((((ms - (Date.now() - began)) % GOP_MS) + GOP_MS) % GOP_MS);

  /** A viewer in the page that has its first picture. */
  const join = async () => {
    const viewer = await page.evaluateHandle(() => window.join("film"));
    await viewer.evaluate(({ firstPicture }) => firstPicture);
    return viewer;
  };

  /** Joins so many ms behind a keyframe and looks whether it comes up with `early`; says what was amiss. */
  const joinsLate = async (story, early, behind) => {
    const amiss = [];
    await inGop(behind);
    const late = await join();
    const joined = Date.now();
    for (const after of LOOK_AFTER_MS) {
      await pause(joined + after - Date.now());
      const { lag, delay } = await page.evaluate(compare, [early, late, began]);
      const figures = `${lag} ms behind who came early, ${delay} ms behind the encoder`;
      story.diagnostic(`${after} ms after a join ${behind} ms behind the keyframe: ${figures}`);
      if (Math.abs(lag) > LAG_MS_MAX || delay > DELAY_MS_MAX) amiss.push(figures);
    }
    const { framesDecoded, freezeCount, totalFreezesDuration } = await late.evaluate((viewer) => viewer.stats());
    const shown = `${framesDecoded} pictures, ${freezeCount} freezes, ${totalFreezesDuration} s in all`;
    story.diagnostic(shown);
    const isFull = framesDecoded >= 0.9 * FPS * (LOOK_AFTER_MS.at(-1) / 1000);
    if (!isFull || freezeCount > 1 || totalFreezesDuration >= 0.5) amiss.push(shown);
    await late.evaluate((viewer) => viewer.leave());
    return amiss.join("; ");
  };

  test(`95 % of ${JOINS} joins have their first picture within ${FIRST_PICTURE_MS} ms`, async (story) => {
    await oneOf(story, async () => {
      const waits = [];
      const first = Date.now();
      for (let at = 0; at < JOINS; at++) {
        await pause(Math.max(0, first + at * JOIN_EVERY_MS - Date.now()));
        const behind = Math.round((Date.now() - began) % GOP_MS);
        const ms = await page.evaluate(async () => {
          const viewer = window.join("film");
          const ms = await viewer.firstPicture;
          viewer.leave();
          return ms;
        });
        waits.push({ ms: Math.round(ms), behind });
      }
      const sorted = waits.map(({ ms }) => ms).sort((a, b) => a - b);
      const at = (part) => sorted[Math.ceil(part * sorted.length) - 1];
      const figures = `median ${at(0.5)} ms, p95 ${at(0.95)} ms, max ${at(1)} ms`;
      const each = waits.map(({ ms, behind }) => `${ms}@${behind}`).join(" ");
      story.diagnostic(`first picture: ${figures}`);
      story.diagnostic(`each, at how many ms behind the keyframe: ${each}`);
      return at(0.95) > FIRST_PICTURE_MS && figures;
    });
  });

  test("who joins late catches up without a stop, and stays at the present", async (story) => {
    await inGop(EARLY_MS);
    const early = await join();
    for (const behind of LATE_MS) await oneOf(story, () => joinsLate(story, early, behind));
    await early.evaluate((viewer) => viewer.leave());
  });
});

test(`the binary's player has its first keyframe at once, ${PLAYS} times`, async (story) => {
  const server = await serve("instant-serve-binary");
  const sender = publishTest("instant-publish", server.whip("test"), "H264");
  const isLive = async () => (await server.streams()).some((each) => each.live);
  await until("the stream is live", isLive, { tell: () => sender.tail() });
  await oneOf(story, async () => {
    const waits = [];
    for (let at = 0; at < PLAYS; at++) {
      const report = await play("instant-play", server.whep("test"), "h264+opus", { seconds: 1 });
      waits.push(report.times_ms.first_keyframe);
    }
    const sorted = [...waits].sort((a, b) => a - b);
    // Some 30 ms are the aim; how many a machine that does other things needs is not for a test to say.
    story.diagnostic(`first keyframe: median ${sorted[PLAYS >> 1]} ms, max ${sorted.at(-1)} ms; ${waits.join(" ")}`);
    return sorted.at(-1) > FIRST_KEYFRAME_MS && waits.join(" ");
  });
  await sender.end();
  await server.stop();
});

/** Runs in the page: `join(stream)` there makes a viewer with a picture of its own. */
function viewers() {
  let posted = NaN;
  const plainFetch = window.fetch;
  window.fetch = (resource, options) => {
    if (options?.method === "POST") posted = performance.now();
    return plainFetch(resource, options);
  };
  const paint = new OffscreenCanvas(640, 1).getContext("2d", { willReadFrequently: true });
  return import("/assets/whep.js").then(({ WhepPlayer }) => {
    window.join = (stream) => {
      const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true, width: 320 });
      document.body.append(video);
      const player = new WhepPlayer(`/whep/${stream}`);
      player.addEventListener("media", ({ detail }) => (video.srcObject = detail));
      const firstPicture = new Promise((resolve) =>
        video.requestVideoFrameCallback(() => resolve(performance.now() - posted)),
      );
      player.start();
      return {
        /** In ms after the POST. */
        firstPicture,
        /** The number of the picture on show, modulo 128. */
        picture() {
          paint.drawImage(video, 0, video.videoHeight / 2, video.videoWidth, 1, 0, 0, 640, 1);
          const { data } = paint.getImageData(0, 0, 640, 1);
          const edge = Array.from({ length: 640 }, (_, x) => data[4 * x]).findIndex((red) => red > 128);
          return Math.round(edge / 5);
        },
        async stats() {
          const report = [...(await player.pc.getStats()).values()];
          return report.find((each) => each.type === "inbound-rtp" && each.kind === "video");
        },
        leave() {
          player.stop();
          video.remove();
        },
      };
    };
  });
}

/**
 * Runs in the page: by how many ms the picture of `late` is behind that of `early`, and behind the encoder, which began
 * at `began`. Looks several times: a picture may be shown one refresh sooner here than there.
 */
async function compare([early, late, began]) {
  const behind = (late, early) => ((((early - late + 64) % 128) + 128) % 128) - 64;
  const lags = [];
  const delays = [];
  for (let look = 0; look < 15; look++) {
    await new Promise(requestAnimationFrame);
    const encoded = Math.floor(((performance.timeOrigin + performance.now() - began) / 1000) * 30);
    const [here, there] = [late.picture(), early.picture()];
    lags.push(behind(here, there));
    delays.push(behind(here, encoded));
  }
  const middle = (pictures) => Math.round((pictures.sort((a, b) => a - b)[pictures.length >> 1] * 1000) / 30);
  return { lag: middle(lags), delay: middle(delays) };
}
