// The web pages over a server that says whatever a test wants: for states that the real one cannot be brought into
// at will. Serves `web/` under the real one's rules (no inline code, nothing from elsewhere).

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const WEB = fileURLToPath(new URL("../../web/", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/**
 * @typedef {{status: number, headers?: Record<string, string>, body?: string | object}} Answer
 * @typedef {(body: string, headers: import("node:http").IncomingHttpHeaders) => Answer | Promise<Answer>} Whep
 */

/**
 * @param {{whep?: Whep, streams?: object[]}} behaviour may be changed at any time
 */
export async function startFake(behaviour) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://fake");
    requests.push(`${request.method} ${pathname}`);
    const { status, headers = {}, body = "" } = await answer(behaviour, pathname, request);
    response.writeHead(status, { "Content-Security-Policy": "default-src 'self'", ...headers });
    response.end(typeof body === "string" || Buffer.isBuffer(body) ? body : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    requests,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(behaviour, pathname, request) {
  if (pathname.startsWith("/whep/")) {
    const { body = "", ...reply } = await behaviour.whep(await textOf(request), request.headers);
    const type = typeof body === "string" ? "application/sdp" : "application/problem+json";
    return { ...reply, body, headers: { "Content-Type": type, ...reply.headers } };
  }
  if (pathname.startsWith("/session/")) return { status: 200 };
  if (pathname === "/api/v1/streams") {
    return { status: 200, headers: { "Content-Type": "application/json" }, body: behaviour.streams ?? [] };
  }
  const name = pathname === "/" ? "index.html" : pathname.startsWith("/watch/") ? "watch.html" : pathname.replace(/^\/assets\//, "");
  try {
    const body = await readFile(join(WEB, name.replaceAll("..", "")));
    return { status: 200, headers: { "Content-Type": TYPES[extname(name)] ?? "text/plain" }, body };
  } catch {
    return { status: 404, body: "no such page" };
  }
}

async function textOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}

/**
 * A WHEP endpoint played by a browser page with a fake camera: the far end of a real connection, without a server.
 * @param {import("playwright-core").Page} page
 * @param {{video?: boolean}} [options]
 * @returns {Promise<Whep>}
 */
export async function cameraAsServer(page) {
  return async (offer) => {
    const body = await page.evaluate(async (offer) => {
      const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
      const connection = (window.far = new RTCPeerConnection());
      await connection.setRemoteDescription({ type: "offer", sdp: offer });
      for (const transceiver of connection.getTransceivers()) {
        const [track] = media.getTracks().filter((each) => each.kind === transceiver.receiver.track.kind);
        await transceiver.sender.replaceTrack(track);
        transceiver.direction = "sendonly";
      }
      await connection.setLocalDescription();
      await new Promise((resolve) => {
        connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && resolve();
      });
      return connection.localDescription.sdp;
    }, offer);
    return { status: 201, headers: { Location: "/session/1", ETag: '"1"' }, body };
  };
}
