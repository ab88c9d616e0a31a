"""A WHIP publisher on GStreamer's webrtcbin, for GStreamers older than whipclientsink.

    gstreamer_publish.py URL [--codec h264|vp8]   until it is ended; says {"connected": true} when it is

Runs on Debian's own Python, which has the bindings (python3-gst-1.0).
"""

import argparse
import json
import signal
import sys
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

VIDEO = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=30 bitrate=800 "
    "! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=-1 aggregate-mode=zero-latency "
    "! application/x-rtp,media=video,encoding-name=H264,payload=96,clock-rate=90000",
    "vp8": "vp8enc deadline=1 cpu-used=8 keyframe-max-dist=30 target-bitrate=800000 ! rtpvp8pay picture-id-mode=15-bit "
    "! application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000",
}
PIPELINE = """
webrtcbin name=rtc bundle-policy=max-bundle
videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1 ! videoconvert
  ! {video} ! queue ! rtc.
audiotestsrc is-live=true freq=440 ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay
  ! application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000 ! queue ! rtc.
"""


class Publisher:
    def __init__(self, url, codec):
        self.url, self.session = url, None
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(PIPELINE.format(video=VIDEO[codec]))
        self.rtc = self.pipeline.get_by_name("rtc")
        self.rtc.connect("on-negotiation-needed", self.on_negotiation_needed)
        self.rtc.connect("notify::ice-gathering-state", self.on_gathering)
        self.rtc.connect("notify::connection-state", self.on_connection)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, message: self.fail(message.parse_error().gerror.message))
        for number in (signal.SIGTERM, signal.SIGINT):
            GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, self.loop.quit)

    def run(self):
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        if self.session:
            urllib.request.urlopen(urllib.request.Request(self.session, method="DELETE"))
        self.pipeline.set_state(Gst.State.NULL)

    def fail(self, why):
        print(why, file=sys.stderr, flush=True)
        # The main loop runs in C, which would swallow an exception.
        self.loop.quit()
        self.failed = True

    failed = False

    def on_negotiation_needed(self, rtc):
        for at in range(2):
            rtc.emit("get-transceiver", at).props.direction = GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY
        rtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise):
        # The offer lives in the reply, which must not be collected before it is used.
        reply = promise.get_reply()
        self.rtc.emit("set-local-description", reply.get_value("offer"), None)

    def on_gathering(self, rtc, _):
        if rtc.props.ice_gathering_state == GstWebRTC.WebRTCICEGatheringState.COMPLETE and not self.session:
            GLib.idle_add(self.post)

    def post(self):
        sdp = self.rtc.props.local_description.sdp.as_text()
        request = urllib.request.Request(self.url, sdp.encode(), {"Content-Type": "application/sdp"})
        try:
            with urllib.request.urlopen(request) as reply:
                self.session = urllib.parse.urljoin(self.url, reply.headers["Location"])
                answer = reply.read().decode()
        except urllib.error.HTTPError as error:
            return self.fail(f"{self.url} answered {error.code}: {error.read().decode()}")
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.rtc.emit("set-remote-description", description, None)

    def on_connection(self, rtc, _):
        state = rtc.props.connection_state
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            print(json.dumps({"connected": True}), flush=True)
        if state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            self.fail("the connection failed")


parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("--codec", choices=VIDEO, default="h264")
args = parser.parse_args()
Gst.init(None)
publisher = Publisher(args.url, args.codec)
publisher.run()
sys.exit(publisher.failed)
