#!/usr/bin/env python3
"""Makes the test clip that `wtn publish test` sends, and proves that it is the one in the tree.

    make.py            writes the five files beside this script
    make.py --check    makes them again elsewhere and compares every byte
    make.py --stills D writes some frames of each codec into the folder D as PNG, to look at

Ten seconds at 25 frames a second, 640x360, that join into a loop: a hand that goes round once, a timecode
(seconds and frames), a block that travels evenly along a rule, and at each full second a white flash of two
frames with a beep of 60 ms. The name of the codec stands in the picture. A keyframe opens each GOP of two
seconds, nothing refers to the future, and every packet of the encoder shows one frame.

The pictures are drawn here, in YUV, with nothing but the standard library; only the labels come from FFmpeg.
The bytes depend on the versions of FFmpeg and its encoders: Debian 12's (FFmpeg 5.1, x264 164, libvpx 1.12,
libaom 3.6, libopus 1.3.1) made those in the tree.
"""

import argparse
import array
import filecmp
import math
import pathlib
import subprocess
import sys
import tempfile

WIDTH, HEIGHT, FPS, SECONDS = 640, 360, 25, 10
GOP = 2 * FPS
FRAMES = FPS * SECONDS
FLASH_FRAMES = 2

AUDIO_RATE = 48_000
BEEP_HZ, BEEP_SECONDS, BEEP_RAMP_SECONDS, BEEP_PEAK = 1_000, 0.06, 0.004, 0.4
# What a decoder puts out is the input this many samples late (libopus' look-ahead, the pre-skip of its header).
OPUS_DELAY = 312

# Y, U, V of BT.601, limited range: what decoders assume of so small a picture unless told otherwise.
BACKGROUND = (34, 134, 124)
PANEL = (48, 135, 122)
FAINT = (78, 134, 123)
PALE = (170, 130, 126)
WHITE = (235, 128, 128)
ORANGE = (160, 58, 170)
TEAL = (140, 146, 84)

FACE_X, FACE_Y, FACE_RADIUS = 170, 172, 118
DIGIT_WIDTH, DIGIT_HEIGHT, DIGIT_STROKE = 52, 100, 12
DIGITS_X, DIGITS_Y = 326, 112
FLASH = (326, 236, 608, 276)
RULE = (60, 326, 580, 330)

# Which strokes light up: top, top left, top right, middle, bottom left, bottom right, bottom.
SEGMENTS = ["1110111", "0010010", "1011101", "1011011", "0111010", "1101011", "1101111", "1010010", "1111111", "1111011"]


class Picture:
    """Three planes, chroma at half size, drawn upon with soft edges."""

    def __init__(self, other=None):
        if other:
            self.planes = [bytearray(plane) for plane in other.planes]
        else:
            luma, chroma = WIDTH * HEIGHT, WIDTH * HEIGHT // 4
            self.planes = [bytearray([value]) * size for value, size in zip(BACKGROUND, (luma, chroma, chroma))]

    def box(self, left, top, right, bottom, colour):
        """Even coordinates keep the edges of chroma and luma together."""
        for plane, (shift, value) in zip(self.planes, zip((0, 1, 1), colour)):
            stride, wide = WIDTH >> shift, (right - left) >> shift
            for y in range(top >> shift, bottom >> shift):
                start = y * stride + (left >> shift)
                plane[start : start + wide] = bytes([value]) * wide

    def shape(self, left, top, right, bottom, colour, distance):
        """Fills where `distance(x, y)` is negative; it is the distance in pixels to the edge."""
        for plane, (shift, value) in zip(self.planes, zip((0, 1, 1), colour)):
            stride, step = WIDTH >> shift, 1 << shift
            for y in range(top >> shift, (bottom >> shift) + 1):
                for x in range(left >> shift, (right >> shift) + 1):
                    cover = 0.5 - distance((x + 0.5) * step, (y + 0.5) * step) / step
                    if cover > 0:
                        at = y * stride + x
                        plane[at] = round(plane[at] + (value - plane[at]) * min(cover, 1))

    def line(self, x0, y0, x1, y1, width, colour):
        """A straight stroke with round ends."""
        length = math.hypot(x1 - x0, y1 - y0) or 1
        ux, uy = (x1 - x0) / length, (y1 - y0) / length

        def distance(x, y):
            along = min(max((x - x0) * ux + (y - y0) * uy, 0), length)
            return math.hypot(x - x0 - along * ux, y - y0 - along * uy) - width / 2

        reach = math.ceil(width / 2) + 2
        self.shape(
            math.floor(min(x0, x1)) - reach, math.floor(min(y0, y1)) - reach,
            math.ceil(max(x0, x1)) + reach, math.ceil(max(y0, y1)) + reach, colour, distance,
        )

    def ring(self, x0, y0, radius, width, colour):
        reach = math.ceil(radius + width) + 1
        self.shape(
            x0 - reach, y0 - reach, x0 + reach, y0 + reach, colour,
            lambda x, y: abs(math.hypot(x - x0, y - y0) - radius) - width / 2,
        )

    def disc(self, x0, y0, radius, colour):
        reach = math.ceil(radius) + 1
        self.shape(
            x0 - reach, y0 - reach, x0 + reach, y0 + reach, colour, lambda x, y: math.hypot(x - x0, y - y0) - radius
        )

    def digit(self, left, top, value, colour):
        w, h, s = DIGIT_WIDTH, DIGIT_HEIGHT, DIGIT_STROKE
        middle = (h - s) // 4 * 2
        strokes = [
            (0, 0, w, s), (0, 0, s, middle + s), (w - s, 0, w, middle + s), (0, middle, w, middle + s),
            (0, middle, s, h), (w - s, middle, w, h), (0, h - s, w, h),
        ]
        for wanted, ink in (("0", PANEL), ("1", colour)):
            for lit, (x0, y0, x1, y1) in zip(SEGMENTS[value], strokes):
                if lit == wanted:
                    self.box(left + x0, top + y0, left + x1, top + y1, ink)


def still_part():
    picture = Picture()
    picture.disc(FACE_X, FACE_Y, FACE_RADIUS, PANEL)
    picture.ring(FACE_X, FACE_Y, FACE_RADIUS, 4, PALE)
    for tick in range(SECONDS * 2):
        turn = 2 * math.pi * tick / (SECONDS * 2)
        inner, width, colour = (96, 5, WHITE) if tick % 2 == 0 else (104, 3, PALE)
        x, y = math.sin(turn), -math.cos(turn)
        picture.line(FACE_X + x * inner, FACE_Y + y * inner, FACE_X + x * 109, FACE_Y + y * 109, width, colour)
    picture.box(*FLASH, PANEL)
    picture.box(*RULE, FAINT)
    for mark in range(SECONDS + 1):
        x = RULE[0] + (RULE[2] - RULE[0] - 20) * mark // SECONDS + 8
        picture.box(x, RULE[1] - 8, x + 4, RULE[3], FAINT)
    return picture


def frame(still, number):
    picture = Picture(still)
    second, rest = divmod(number, FPS)
    turn = 2 * math.pi * number / FRAMES
    x, y = math.sin(turn), -math.cos(turn)
    picture.line(FACE_X - x * 18, FACE_Y - y * 18, FACE_X + x * 84, FACE_Y + y * 84, 7, ORANGE)
    picture.disc(FACE_X, FACE_Y, 9, ORANGE)
    left = DIGITS_X
    for value in (second // 10, second % 10, None, rest // 10, rest % 10):
        if value is None:
            for top in (28, 60):
                picture.box(left + 2, DIGITS_Y + top, left + 14, DIGITS_Y + top + 12, PALE)
            left += 28
            continue
        picture.digit(left, DIGITS_Y, value, WHITE if left < 440 else TEAL)
        left += DIGIT_WIDTH + 12
    if rest < FLASH_FRAMES:
        picture.box(*FLASH, WHITE)
    travelled = RULE[0] + (RULE[2] - RULE[0] - 20) * number // FRAMES // 2 * 2
    picture.box(travelled, RULE[1] - 8, travelled + 20, RULE[3] + 8, ORANGE)
    return b"".join(picture.planes)


def beeps():
    """One loop, brought forward by the codec's delay so that sound and flash leave the decoders together.

    The encoder adds one packet at the end to flush that delay; the publisher leaves it out.
    """
    beep = int(BEEP_SECONDS * AUDIO_RATE)
    ramp = int(BEEP_RAMP_SECONDS * AUDIO_RATE)
    second = [0] * AUDIO_RATE
    for at in range(beep):
        loudness = min(1, at / ramp, (beep - at) / ramp) * BEEP_PEAK
        second[at] = round(32767 * loudness * math.sin(2 * math.pi * BEEP_HZ * at / AUDIO_RATE))
    loop = second * SECONDS
    samples = array.array("h", loop[OPUS_DELAY:] + loop[:OPUS_DELAY])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def labels(codec):
    font = "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"

    def label(text, x, y, size, colour):
        return f"drawtext=fontfile={font}:text='{text}':x={x}:y={y}:fontsize={size}:fontcolor={colour}"

    return ",".join([
        label("wtn", DIGITS_X, 56, 34, "0xf2f2f2"),
        label(f"{codec} + Opus", "608-text_w", 62, 24, "0xb8c4cc"),
        label("SECONDS", DIGITS_X, 220, 11, "0x8fa0ab"),
        label("FRAMES", DIGITS_X + 156, 220, 11, "0x8fa0ab"),
        label("FLASH + BEEP", f"{DIGITS_X}+(282-text_w)/2", "250", 13, "0x243440"),
    ])


BITEXACT = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]

# No B-frames, no hidden frames, one thread, one keyframe a GOP.
VIDEO = {
    "clip.h264": ("H.264", [
        "-c:v", "libx264", "-profile:v", "baseline", "-level", "3.1", "-preset", "veryslow", "-crf", "29",
        "-x264-params", f"keyint={GOP}:min-keyint={GOP}:scenecut=0:bframes=0:ref=2:aud=1:repeat-headers=1"
        ":threads=1:lookahead-threads=1:sliced-threads=0:sync-lookahead=0",
        # Without the encoder's letter about itself (SEI), which would cost 700 bytes a keyframe.
        "-bsf:v", "filter_units=remove_types=6", "-f", "h264",
    ]),
    "clip.vp8.ivf": ("VP8", [
        "-c:v", "libvpx", "-deadline", "best", "-cpu-used", "0", "-auto-alt-ref", "0", "-lag-in-frames", "0",
        "-g", str(GOP), "-keyint_min", str(GOP), "-crf", "34", "-b:v", "400k", "-qmin", "4", "-qmax", "56",
        "-threads", "1", "-f", "ivf",
    ]),
    "clip.vp9.ivf": ("VP9", [
        "-c:v", "libvpx-vp9", "-deadline", "good", "-cpu-used", "1", "-auto-alt-ref", "0", "-lag-in-frames", "0",
        "-g", str(GOP), "-keyint_min", str(GOP), "-crf", "40", "-b:v", "0",
        "-row-mt", "0", "-tile-columns", "0", "-threads", "1", "-f", "ivf",
    ]),
    "clip.av1.ivf": ("AV1", [
        "-c:v", "libaom-av1", "-cpu-used", "4", "-lag-in-frames", "0", "-crf", "42", "-b:v", "0",
        "-g", str(GOP), "-keyint_min", str(GOP), "-row-mt", "0", "-tiles", "1x1", "-threads", "1", "-f", "ivf",
    ]),
}


def ffmpeg(arguments, given=None):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin" if given is None else "-y", *arguments], input=given, check=True)


def make(folder):
    still = still_part()
    raw = b"".join(frame(still, number) for number in range(FRAMES))
    source = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-"]
    for name, (codec, options) in VIDEO.items():
        ffmpeg([*source, "-vf", labels(codec), *BITEXACT, *options, str(folder / name)], raw)
    ffmpeg([
        "-f", "s16le", "-ar", str(AUDIO_RATE), "-ac", "1", "-i", "-", *BITEXACT, "-c:a", "libopus", "-b:a", "24k",
        "-vbr", "on", "-application", "audio", "-frame_duration", "20",
        "-f", "ogg", str(folder / "clip.opus"),
    ], beeps())


def names():
    return [*VIDEO, "clip.opus"]


def check(here):
    with tempfile.TemporaryDirectory() as fresh:
        make(pathlib.Path(fresh))
        different = [name for name in names() if not filecmp.cmp(here / name, pathlib.Path(fresh) / name, shallow=False)]
    if different:
        sys.exit(f"not the same bytes: {', '.join(different)}")
    print("the clip in the tree is the one this script makes")


def stills(here, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in VIDEO:
        ffmpeg([
            "-y", "-i", str(here / name), "-vf", "select='eq(n,0)+eq(n,112)+eq(n,249)'", "-vsync", "0",
            str(folder / f"{name}-%d.png"),
        ])


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--stills", metavar="D", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.check:
        check(here)
    elif arguments.stills:
        stills(here, arguments.stills)
    else:
        make(here)
        for name in names():
            print(f"{(here / name).stat().st_size:8} {name}")
        print(f"{sum((here / name).stat().st_size for name in names()):8} together")


if __name__ == "__main__":
    main()
