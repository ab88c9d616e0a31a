//! What the control plane tells a shard, and what a shard tells the control plane.

use crate::ticket::{ShardId, Ticket};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wtn_fanout::LintNews;
use wtn_media::{Format, IceCredentials, Layer, LayerSelection, MediaKind, SessionId, StreamId};

/// From the control plane, to **every** shard: none knows beforehand whose session it will be.
#[derive(Clone, Debug)]
pub enum Command {
    /// A session was admitted: expect its first check.
    Announce(Arc<Ticket>),
    /// A session's ICE begins anew, with fresh credentials at both ends (RFC 8445 §9).
    Restart(Arc<Restart>),
    /// The session is over; whoever owns it says goodbye, the others forget the ticket.
    End(SessionId, EndReason),
    /// The session's tracks are muted or heard again: nothing of a muted publisher is forwarded, nothing is sent
    /// to a muted subscriber. It may come before the session's first check.
    Mute {
        /// The session.
        session: SessionId,
        /// Its sound is off.
        audio: bool,
        /// Its picture is off.
        video: bool,
    },
    /// The viewer wants this of the picture until it is told otherwise; `None`: whatever its line is good for. The
    /// switch waits for the next keyframe of what is wanted, which is asked for at once. It may come before the
    /// session's first check.
    Layers {
        /// The viewer's session.
        session: SessionId,
        /// What it wants.
        selection: Option<LayerSelection>,
    },
    /// How long the stream's viewers stay while nobody publishes, from now on; `None`: as long as they like.
    Grace(StreamId, Option<Duration>),
    /// Of the stream's inputs, this one is for viewers, from this epoch on: higher than that of any that was shown
    /// before it. At once, or with its next keyframe, while the one before goes on; whichever waited for that
    /// before waits no more.
    Show {
        /// The stream.
        stream: StreamId,
        /// The input's session, which must be connected.
        session: SessionId,
        /// Of its packets from then on.
        epoch: u32,
        /// Not only with its next keyframe.
        at_once: bool,
    },
    /// The server stops: end every session. [`Event::Drained`] follows when the last goodbye is sent.
    Drain,
}

/// An ICE restart that signalling has agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restart {
    /// The session.
    pub session: SessionId,
    /// Ours.
    pub local: IceCredentials,
    /// The client's.
    pub remote: IceCredentials,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The client asked for it by DELETE.
    Deleted,
    /// A newer publisher took the stream.
    Replaced,
    /// The key or token that opened it was revoked.
    Revoked,
    /// The key or token that opened it has expired.
    Expired,
    /// Its endpoint was removed.
    EndpointRemoved,
    /// The operator ended it.
    Operator,
    /// DTLS close_notify or a fatal alert came from the peer.
    ClosedByPeer,
    /// No ICE check or no finished DTLS handshake before [`connect_by`](wtn_media::Admission::connect_by).
    NeverConnected,
    /// Nothing authentic was heard for too long.
    Silent,
    /// The peer's certificate is not the one that its SDP announced.
    WrongCertificate,
    /// Its publisher was destroyed in a way that takes the viewers along.
    StreamDestroyed,
    /// The stream had no publisher for the whole grace time.
    NoPublisher,
    /// Its line loses most of what it is sent, or nothing arrives any more: the circuit breaker (RFC 8083).
    LineHopeless,
    /// The server stops.
    Draining,
    /// Our code panicked while serving it: a bug, and the only one hurt.
    Crashed,
}

impl EndReason {
    /// A stable code for logs, metrics and the API.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::EndpointRemoved => "endpoint_removed",
            Self::Operator => "ended_by_operator",
            Self::ClosedByPeer => "closed_by_peer",
            Self::NeverConnected => "never_connected",
            Self::Silent => "silent",
            Self::WrongCertificate => "wrong_certificate",
            Self::StreamDestroyed => "stream_destroyed",
            Self::NoPublisher => "no_publisher",
            Self::LineHopeless => "line_hopeless",
            Self::Draining => "draining",
            Self::Crashed => "crashed",
        }
    }
}

/// From a shard to the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The session got its first authentic check and lives on this shard from now on.
    Claimed(SessionId, ShardId),
    /// ICE and DTLS are done; media may flow.
    Connected {
        /// The session.
        session: SessionId,
        /// Where its client is.
        remote: SocketAddr,
        /// The SRTP protection profile in its registered spelling (RFC 5764 §4.1.2, RFC 7714 §14.2).
        srtp_profile: &'static str,
    },
    /// A publisher's track came alive, or changed its codec.
    Media {
        /// The publisher's session.
        session: SessionId,
        /// The stream.
        stream: StreamId,
        /// Which track.
        kind: MediaKind,
        /// What it carries now.
        format: Format,
    },
    /// A publisher has begun to send, or has not sent anything for about a second.
    Flow {
        /// The publisher's session.
        session: SessionId,
        /// Whether it sends.
        flows: bool,
    },
    /// From now on viewers get what this input sends ([`Command::Show`]).
    Shown {
        /// The input's session.
        session: SessionId,
        /// The epoch that was given to it.
        epoch: u32,
    },
    /// What the picture can be had in has changed, or a bitrate moved by more than a quarter; at most once a second.
    /// A picture without layers is one of them, without names.
    Layers {
        /// The stream.
        stream: StreamId,
        /// All of them; those that are not sent now have no bitrate.
        layers: Arc<[Layer]>,
    },
    /// Something may be wrong with what a publisher sends, or is not any more.
    Lint {
        /// The publisher's session.
        session: SessionId,
        /// What.
        news: LintNews,
    },
    /// The session is gone; nothing of it is left.
    Ended(SessionId, EndReason),
    /// After [`Command::Drain`]: this shard owns no session any more.
    Drained(ShardId),
}
