//! Numbers for the operator: one writer (the shard), any reader.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $code:literal,)*) => {
        /// What is counted. Every datagram that is not used is counted under its reason.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Counter { $($(#[$doc])* $name,)* }

        impl Counter {
            /// Every counter.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// A stable code for metrics.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

counters! {
    /// Datagrams taken from the network.
    DatagramsIn => "datagrams_in",
    /// Datagrams handed to the network.
    DatagramsOut => "datagrams_out",
    /// RTP packets of publishers, accepted.
    PacketsIn => "packets_in",
    /// Of these, packets of inputs that stood by.
    PacketsStoodBy => "packets_stood_by",
    /// Switches from one input of a stream to another, or to its first.
    InputSwitches => "input_switches",
    /// RTP packets to viewers, sealed.
    PacketsOut => "packets_out",
    /// Packets sent again for a viewer's NACK.
    Retransmits => "retransmits",
    /// A viewer asked for a packet that is no longer kept.
    RetransmitMisses => "retransmit_misses",
    /// Viewers' lines that were found good for another encoding.
    LayerSwitches => "layer_switches",
    /// Estimates of viewers' lines, one a second and viewer.
    LineEstimates => "line_estimates",
    /// The sum of those estimates in kbit/s: divided by their number, what a line carries.
    LineEstimatesKbit => "line_estimates_kbit",
    /// Keyframe requests sent to publishers.
    KeyframeRequests => "keyframe_requests",
    /// Panics caught at the door of a session.
    Panics => "panics",
    /// Dropped: not STUN, DTLS, RTP or RTCP by its first byte, or too short (RFC 7983 §7).
    DropUnknownKind => "drop_unknown_kind",
    /// Dropped: no session has this remote address, and it is no STUN check.
    DropUnknownPeer => "drop_unknown_peer",
    /// Dropped: STUN that does not parse.
    DropBadStun => "drop_bad_stun",
    /// Dropped: STUN for a user name that nobody has.
    DropUnknownUser => "drop_unknown_user",
    /// Dropped: STUN with a wrong MESSAGE-INTEGRITY or FINGERPRINT.
    DropUnauthentic => "drop_unauthentic",
    /// Dropped: DTLS that the handshake could not use.
    DropBadDtls => "drop_bad_dtls",
    /// Dropped: media before the keys are there.
    DropTooEarly => "drop_too_early",
    /// Dropped: SRTP or SRTCP whose tag is wrong.
    DropBadTag => "drop_bad_tag",
    /// Dropped: a packet already seen, or older than the replay window.
    DropReplay => "drop_replay",
    /// Dropped: decrypted, but not RTP or RTCP by its form.
    DropMalformed => "drop_malformed",
    /// Dropped: RTP of no negotiated track or payload type.
    DropUnknownTrack => "drop_unknown_track",
    /// Dropped: media that was here before, by itself or as a retransmission.
    DropDuplicate => "drop_duplicate",
    /// Dropped: a retransmission of nothing that we know; mostly padding that probes the line.
    DropEmptyRepair => "drop_empty_repair",
    /// Dropped: media of a publisher whose track is muted.
    DropMuted => "drop_muted",
    /// Dropped: handed over by another shard, which no longer knows the session.
    DropStray => "drop_stray",
    /// Not sent: the viewer has no payload type for the codec.
    SkipNoCodec => "skip_no_codec",
    /// Not sent: the viewer waits for a keyframe.
    SkipNoKeyframe => "skip_no_keyframe",
    /// Not sent: not the encoding that the viewer watches.
    SkipOtherEncoding => "skip_other_encoding",
    /// Not sent: of a layer that the viewer does without.
    SkipOtherLayer => "skip_other_layer",
    /// Not sent: older than the viewer's last switch.
    SkipLate => "skip_late",
    /// Not sent: the viewer has muted the track.
    SkipMuted => "skip_muted",
    /// Lost between shards: the ring was full, the viewers there wait for a keyframe.
    RingOverflow => "ring_overflow",
    /// Mail between shards that found its box full.
    MailOverflow => "mail_overflow",
}

/// The counters of one shard. Only its owner writes, so relaxed stores do and no cache line is shared.
#[derive(Debug)]
pub struct Counters([AtomicU64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// Adds one. For the owner alone.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Adds `n`. For the owner alone.
    pub fn add(&self, counter: Counter, n: u64) {
        let cell = &self.0[counter as usize];
        cell.store(cell.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// The value, for anybody.
    pub fn value(&self, counter: Counter) -> u64 {
        self.0[counter as usize].load(Ordering::Relaxed)
    }
}
