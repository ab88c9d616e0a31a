"""A WHIP publisher and a WHEP player on aiortc.

    aiortc_client.py publish URL [--codec vp8|h264]   until it is ended; says {"connected": true} when it is
    aiortc_client.py play URL                         until it has decoded enough; says what it saw
"""

import argparse
import asyncio
import fractions
import json
import math
import signal
import sys
import time

import aiohttp
import av
from aiortc.mediastreams import MediaStreamError
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCRtpSender, RTCSessionDescription, VideoStreamTrack
from yarl import URL

FRAMES_WANTED = 60
SOUNDS_WANTED = 100
PLAY_SECONDS = 20
RATE = 48_000
SAMPLES = RATE // 50


class Bars(VideoStreamTrack):
    """A bright bar that walks over a dark picture."""

    async def recv(self):
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(640, 360, "yuv420p")
        at = (pts // 3000 * 8) % 600
        luma = frame.planes[0]
        row = bytes(30 if not at <= x < at + 40 else 220 for x in range(luma.line_size))
        luma.update(row * luma.height)
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(AudioStreamTrack):
    """440 Hz."""

    async def recv(self):
        if not hasattr(self, "_start"):
            self._start, self._sent = time.time(), 0
        await asyncio.sleep(max(0, self._start + self._sent / RATE - time.time()))
        wave = (int(8000 * math.sin(2 * math.pi * 440 * (self._sent + n) / RATE)) for n in range(SAMPLES))
        frame = av.AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(b"".join(value.to_bytes(2, "little", signed=True) for value in wave))
        frame.sample_rate, frame.pts = RATE, self._sent
        frame.time_base = fractions.Fraction(1, RATE)
        self._sent += SAMPLES
        return frame


async def signal_session(http, pc, url):
    """One offer, one answer; returns the session's URL."""
    await pc.setLocalDescription(await pc.createOffer())
    async with http.post(url, data=pc.localDescription.sdp, headers={"Content-Type": "application/sdp"}) as reply:
        body = await reply.text()
        if reply.status != 201:
            raise SystemExit(f"{url} answered {reply.status}: {body}")
        session = reply.url.join(URL(reply.headers["Location"]))
    await pc.setRemoteDescription(RTCSessionDescription(body, "answer"))
    return session


async def until_connected(pc):
    reached = asyncio.Event()
    pc.on("connectionstatechange", lambda: pc.connectionState == "connected" and reached.set())
    if pc.connectionState != "connected":
        await asyncio.wait_for(reached.wait(), PLAY_SECONDS)


async def publish(http, pc, url, codec):
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    pc.addTransceiver(Tone(), "sendonly")
    video = pc.addTransceiver(Bars(), "sendonly")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    wanted = [each for each in codecs if each.mimeType.lower() in (f"video/{codec}", "video/rtx")]
    video.setCodecPreferences(wanted)
    session = await signal_session(http, pc, url)
    await until_connected(pc)
    say({"connected": True})
    await ended.wait()
    return session


async def play(http, pc, url):
    seen = {"frames": 0, "pictures": 0, "sounds": 0, "loudest": 0}
    enough = asyncio.Event()

    @pc.on("track")
    def on_track(track):
        asyncio.ensure_future(watch(track, seen, enough))

    pc.addTransceiver("audio", "recvonly")
    pc.addTransceiver("video", "recvonly")
    session = await signal_session(http, pc, url)
    try:
        await asyncio.wait_for(enough.wait(), PLAY_SECONDS)
    finally:
        say(seen)
    return session


async def watch(track, seen, enough):
    last = None
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if track.kind == "video":
            picture = bytes(frame.planes[0])
            seen["frames"] += 1
            seen["pictures"] += picture != last
            last = picture
        else:
            samples = memoryview(bytes(frame.planes[0])).cast("h")
            seen["sounds"] += 1
            seen["loudest"] = max(seen["loudest"], max(samples))
        if seen["frames"] >= FRAMES_WANTED and seen["sounds"] >= SOUNDS_WANTED:
            enough.set()


def say(what):
    print(json.dumps(what), flush=True)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=("publish", "play"))
    parser.add_argument("url")
    parser.add_argument("--codec", choices=("vp8", "h264"), default="vp8")
    args = parser.parse_args()
    pc = RTCPeerConnection()
    async with aiohttp.ClientSession() as http:
        run = publish(http, pc, args.url, args.codec) if args.verb == "publish" else play(http, pc, args.url)
        session = await run
        async with http.delete(session) as reply:
            if reply.status != 200:
                sys.exit(f"DELETE answered {reply.status}")
        await pc.close()


asyncio.run(main())
