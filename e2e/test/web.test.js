// The web pages by themselves: their words, their size, their manners, and states that no healthy server shows.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { PictureWatch } from "../../web/picture.js";
import { wordsFor } from "../../web/words.js";
import { grab, launch, newPage, plays, said, says } from "../lib/browser.js";
import { cameraAsServer, startFake } from "../lib/fake-server.js";
import { until } from "../lib/until.js";

const WEB = new URL("../../web/", import.meta.url);
const read = (name) => readFile(new URL(name, WEB), "utf8");

describe("picture", () => {
  const EVERY_MS = 500;

  /** What is seen last when each of `counters` grows by so much a poll, for as many polls as told. */
  function seen(...phases) {
    const watch = new PictureWatch();
    const counts = { packets: 0, frames: 0, decoded: 0, sound: 0 };
    let now = 0;
    let last;
    for (const { polls, ...growth } of phases) {
      for (let at = 0; at < polls; at += 1, now += EVERY_MS) {
        for (const [key, by] of Object.entries(growth)) counts[key] += by;
        last = watch.observe({ ...counts }, now);
      }
    }
    return last;
  }
  const playing = { packets: 50, frames: 15, decoded: 15, sound: 25 };

  test("nothing, then packets without a keyframe, then a picture", () => {
    assert.equal(seen({ polls: 3 }), "nothing");
    assert.equal(seen({ polls: 20, packets: 50, sound: 25 }), "keyframe");
    assert.equal(seen({ polls: 3, packets: 50 }, { polls: 1, ...playing }), "playing");
  });

  test("whole frames that never become a picture are undecodable, but not at once", () => {
    assert.equal(seen({ polls: 4, packets: 50, frames: 15 }), "keyframe");
    assert.equal(seen({ polls: 10, packets: 50, frames: 15 }), "undecodable");
    assert.equal(seen({ polls: 10, ...playing }, { polls: 14, packets: 50, frames: 15 }), "undecodable");
  });

  test("a slide show of one frame a second plays; silence is a pause; coming back plays again", () => {
    const slide = [{ polls: 1, ...playing }, { polls: 1 }];
    assert.equal(seen(...slide, ...slide, ...slide), "playing");
    assert.equal(seen({ polls: 10, ...playing }, { polls: 8 }), "paused");
    assert.equal(seen({ polls: 10, ...playing }, { polls: 8 }, { polls: 1, ...playing }), "playing");
    assert.equal(seen({ polls: 10, ...playing }, { polls: 8 }, { polls: 2, packets: 50 }), "keyframe");
  });

  test("sound without a picture is a stream of its own kind", () => {
    assert.equal(seen({ polls: 2, sound: 25 }), "nothing");
    assert.equal(seen({ polls: 10, sound: 25 }), "sound");
  });
});

describe("words", () => {
  const words = (status, picture = "nothing", missing = []) => wordsFor("live", status, picture, missing);

  test("every state has a title, and only a playing picture needs none", () => {
    const states = ["connecting", "offline", "refused", "unsupported", "unreachable", "blocked", "lost", "stopped"];
    for (const state of states) assert.ok(words({ state }).title, state);
    for (const picture of ["nothing", "sound", "keyframe", "undecodable", "paused"]) {
      assert.ok(words({ state: "connected" }, picture).title, picture);
    }
    assert.equal(words({ state: "connected" }, "playing"), null);
  });

  test("a codec is named as people name it", () => {
    assert.match(words({ state: "unsupported" }, "nothing", ["H265"]).title, /cannot decode H\.265/);
    assert.match(words({ state: "connected" }, "undecodable", ["AV1"]).title, /cannot decode AV1/);
  });

  test("a blocked path names the address and the port to open", () => {
    const { text } = words({ state: "blocked", candidates: ["udp 192.0.2.1:8189", "tcp 192.0.2.1:8189"] });
    assert.match(text, /udp 192\.0\.2\.1:8189 or tcp/);
    assert.match(text, /Open UDP port 8189/);
  });

  test("the server's own title and fix are passed on", () => {
    const problem = { status: 503, code: "full", title: "The server is full", detail: "", fix: "Come back later." };
    assert.deepEqual(words({ state: "unreachable", problem }), {
      title: "The server is full",
      text: "Come back later. Trying again by itself.",
      busy: true,
    });
  });
});

describe("files", () => {
  test("nothing inline, nothing from elsewhere", async () => {
    for (const name of await readdir(WEB)) {
      const text = await read(name);
      const addresses = text.match(/https?:\/\/[^\s"'`<]+/g) ?? [];
      assert.deepEqual(addresses.filter((each) => each !== "http://www.w3.org/2000/svg"), [], name);
      if (name.endsWith(".html")) assert.doesNotMatch(text, /<style|style=|<script(?![^>]* src=)| on\w+=/, name);
    }
  });

  test("the watch page is at most 12 KiB, compressed", async () => {
    const names = ["watch.html", "style.css", "icon.svg", "watch.js", "whep.js", "wish.js", "words.js", "picture.js"];
    const sizes = await Promise.all(names.map(async (name) => gzipSync(await read(name), { level: 9 }).length));
    const total = sizes.reduce((sum, size) => sum + size);
    assert.ok(total <= 12 * 1024, `${total} bytes`);
  });
});

describe("pages", () => {
  const behaviour = { whep: null, streams: [] };
  let browser;
  let fake;
  let camera;
  before(async () => {
    [browser, fake] = await Promise.all([launch(), startFake(behaviour)]);
    camera = await newPage(browser);
    await camera.goto(fake.origin);
  });
  after(async () => {
    await browser?.close();
    await fake?.stop();
  });

  const refusal = (status, title, fix = "", headers = {}) => () => ({
    status,
    headers,
    body: { status, code: "test", title, detail: "", fix },
  });

  /** Opens the watch page in front of a server that behaves like this. */
  async function watching(whep, { streams = [], path = "/watch/live", ...options } = {}, story) {
    Object.assign(behaviour, { whep, streams });
    const page = await newPage(browser, options);
    try {
      await page.goto(fake.origin + path);
      await story(page);
      assert.deepEqual(page.faults, []);
    } finally {
      await page.context().close();
    }
  }

  test("offline, and starts by itself when the publisher comes", () =>
    watching(refusal(409, "No publisher", "", { "Retry-After": "1" }), {}, async (page) => {
      await says(page, /live is offline.*starts by itself/);
      behaviour.whep = await cameraAsServer(camera);
      await plays(page);
      const first = await grab(page);
      await until("the picture moves", async () => String(await grab(page)) !== String(first));
    }));

  test("a far end that goes away is noticed, and found again when it is back", async () => {
    const answers = await cameraAsServer(camera);
    await watching(answers, {}, async (page) => {
      await plays(page);
      behaviour.whep = refusal(409, "No publisher", "", { "Retry-After": "1" });
      await camera.evaluate(() => window.far.close());
      await says(page, /offline/);
      behaviour.whep = answers;
      await plays(page);
    });
  });

  test("H.265 without a decoder for it is named", () => {
    const streams = [{ name: "live", live: true, codecs: ["H265", "opus"], viewers: 0 }];
    return watching(refusal(422, "No codec in common"), { streams }, (page) =>
      says(page, /This browser cannot decode H\.265/),
    );
  });

  test("a key is asked for, and used", async () => {
    const answers = await cameraAsServer(camera);
    const asks = refusal(401, "A key is needed");
    const guarded = (offer, headers) => (headers.authorization === "Bearer sesame" ? answers(offer) : asks());
    await watching(guarded, {}, async (page) => {
      await says(page, /A key is needed/);
      await page.fill("#key", "sesame");
      await page.keyboard.press("Enter");
      await plays(page);
    });
    await watching(guarded, { path: "/watch/live#k=sesame" }, (page) => plays(page));
  });

  test("the start page tells which input is shown, and broadcasters what to mend", () => {
    const inputs = [
      { session: "1", backup: 0, shown: false, sends: false },
      { session: "2", backup: 1, shown: true, sends: true },
    ];
    const lint = [{ code: "b_frames", detail: "The encoder uses <B-frames>.", fix: "Set them to 0." }];
    const streams = [
      { name: "live", live: true, codecs: ["H264"], viewers: 1, inputs, lint },
      { name: "plain", live: true, codecs: ["VP8"], viewers: 0, inputs: inputs.slice(1), lint: [] },
    ];
    return watching(null, { streams, path: "/" }, async (page) => {
      const items = () => page.evaluate(() => [...document.querySelectorAll("#streams li")].map((item) => item.innerText));
      await until("both are listed", async () => (await items()).length === 2);
      const [live, plain] = await items();
      assert.match(live, /2 inputs, backup 1 shown/);
      assert.match(live, /The encoder uses <B-frames>\. Set them to 0\./);
      assert.doesNotMatch(plain, /input|encoder/);
    });
  });

  test("a media path that leads nowhere is told with its port", () => {
    const nowhere = async (offer) => {
      const reply = await (await cameraAsServer(camera))(offer);
      await camera.evaluate(() => window.far.close());
      const elsewhere = "a=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n";
      const body = reply.body.replace(/a=candidate.*\r\n/g, "").replace("a=mid:0\r\n", `$&${elsewhere}`);
      return { ...reply, body };
    };
    return watching(nowhere, {}, (page) => says(page, /udp 127\.0\.0\.1:9.*Open UDP port 9/, 30_000));
  });

  test("a server that is full, or gone, is tried again", async () => {
    const answers = await cameraAsServer(camera);
    await watching(refusal(503, "The server is full", "Wait a little."), {}, async (page) => {
      await says(page, /The server is full\. Wait a little\./);
      behaviour.whep = answers;
      await plays(page);
    });
  });

  test("keys: m for sound, i for statistics, f for full screen", async () => {
    await watching(await cameraAsServer(camera), {}, async (page) => {
      await plays(page);
      const is = (script) => () => page.evaluate(script);
      await page.keyboard.press("m");
      await until("the sound is on", is("!document.querySelector('video').muted"));
      await until("the offer of sound is gone", is("document.getElementById('sound').hidden"));
      await page.keyboard.press("i");
      await until("statistics are shown", is("/kbit\\/s/.test(document.getElementById('stats').textContent)"));
      await page.keyboard.press("f");
      await until("it fills the screen", is("document.fullscreenElement?.id === 'stage'"));
    });
  });

  test("leaving the page ends the session", async () => {
    await watching(await cameraAsServer(camera), {}, async (page) => {
      await plays(page);
      fake.requests.length = 0;
      await page.goto("about:blank");
      await until("DELETE arrives", () => fake.requests.includes("DELETE /session/1"));
    });
  });

  test("nothing is wider than a small phone", async () => {
    const viewport = { width: 360, height: 740 };
    await watching(refusal(409, "No publisher"), { viewport, path: "/watch/a-rather-long-stream-name-that-does-not-fit" }, async (page) => {
      await says(page, /offline/);
      for (const path of ["", "/"]) {
        if (path) await page.goto(fake.origin + path);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 360, `${width} px wide`);
      }
    });
  });

  test("the landing page lists what is live, and says what to type for a stream of any name", async () => {
    behaviour.streams = [
      { name: "garden.north", live: true, codecs: ["H264", "opus"], viewers: 1 },
      { name: "over", live: false, codecs: [], viewers: 0 },
    ];
    const page = await newPage(browser);
    await page.goto(fake.origin);
    const card = page.locator("#streams a");
    await until("the stream is listed", async () => (await card.count()) === 1);
    assert.equal(await card.getAttribute("href"), "/watch/garden.north");
    assert.match(await card.innerText(), /garden\.north[^]*H\.264 \+ Opus · 1 viewer$/);
    await page.fill("#stream", "studio");
    assert.match(await page.locator("#obs").innerText(), new RegExp(`${fake.origin}/whip/studio`));
    await page.locator("#tab-obs").press("ArrowRight");
    assert.match(await page.locator("#test").innerText(), /wtn publish test --loop --to/);
    assert.deepEqual(page.faults, []);
    await page.context().close();
  });
});
