"""A WHIP publisher on FFmpeg's own muxer, which PyAV's wheel carries and Debian's FFmpeg is too old for.

    ffmpeg_publish.py URL [--gop 30] [--dtls-active]   until it is ended; says {"connected": true} when it is,
                                                     and as "began" at which Unix time it sends picture 0

H.264 at 30 frames a second and Opus. FFmpeg reads no feedback: it sends a keyframe every --gop frames and never
sooner. The picture tells its number modulo 128: the left edge of a white bar on black is at 5 * number % 640.
"""

import argparse
import json
import math
import signal
import time

import av

WIDTH, HEIGHT, FPS = 640, 360, 30
STEP, BAR = 5, 40
RATE = 48_000
SAMPLES = RATE // 50
TONE_HZ = 450  # whole periods in 20 ms, so that every packet's samples are the same


def picture(number):
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    luma, *chroma = frame.planes
    at = number * STEP % WIDTH
    row = bytes(235 if at <= x < at + BAR else 16 for x in range(luma.line_size))
    luma.update(row * HEIGHT)
    for plane in chroma:
        plane.update(bytes([128]) * plane.buffer_size)
    frame.pts = number
    return frame


def sound(number):
    wave = (int(8000 * math.sin(2 * math.pi * TONE_HZ * n / RATE)) for n in range(SAMPLES))
    samples = b"".join(value.to_bytes(2, "little", signed=True) * 2 for value in wave)
    frame = av.AudioFrame(format="s16", layout="stereo", samples=SAMPLES)
    frame.planes[0].update(samples)
    frame.sample_rate, frame.pts = RATE, number * SAMPLES
    return frame


def open_session(url, gop, dtls_active):
    options = {"whip_flags": "dtls_active"} if dtls_active else {}
    session = av.open(url, "w", format="whip", options=options)
    # What the muxer takes: no B-frames, and 48 kHz in stereo.
    encoder = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "bf": "0", "g": str(gop)}
    encoder |= {"sc_threshold": "0", "b": "800000"}
    video = session.add_stream("libx264", rate=FPS, options=encoder)
    video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    audio = session.add_stream("libopus", rate=RATE, layout="stereo")
    return session, video, audio


def say(what):
    print(json.dumps(what), flush=True)


def publish(url, gop, dtls_active):
    ended = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    session, video, audio = open_session(url, gop, dtls_active)
    # Offer, answer, ICE and DTLS happen in here.
    session.start_encoding()
    start, frames, sounds = time.monotonic(), 0, 0
    say({"connected": True, "began": time.time()})
    while not ended:
        passed = time.monotonic() - start
        while frames / FPS <= passed:
            session.mux(video.encode(picture(frames)))
            frames += 1
        while sounds * SAMPLES / RATE <= passed:
            session.mux(audio.encode(sound(sounds)))
            sounds += 1
        time.sleep(0.004)
    # Its last act is the DELETE.
    session.close()


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--gop", type=int, default=FPS)
parser.add_argument("--dtls-active", action="store_true")
args = parser.parse_args()
av.logging.set_level(av.logging.INFO)
publish(args.url, args.gop, args.dtls_active)
