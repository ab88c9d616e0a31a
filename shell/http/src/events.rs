//! What happens to sessions, told to the desk and to the person who reads the log.
//!
//! One line an event, the stream and the session as fields. Tokens, passwords and SDP are never logged, client
//! addresses at debug only.

use crate::routes::unix_now;
use crate::signalling::{Front, Signalling};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use wtn_engine::{EndReason, Event, LintNews, ShardId};
use wtn_media::{Admission, Format, LintCode, MediaKind, Role, SessionId};

const TICK: Duration = Duration::from_millis(250);
/// The desk looks at its deadlines every so many ticks: once a second.
const TICKS_OF_DESK: u32 = 4;
/// A publisher's second track has so long to come before "publisher is live" is said without it.
const BOTH_TRACKS_WITHIN: Duration = Duration::from_secs(1);

/// What is worth saying about a session.
#[derive(Debug)]
pub(crate) struct SessionNote {
    pub stream: Arc<str>,
    pub is_publisher: bool,
    /// Seconds since 1970-01-01 UTC.
    pub started_at: u64,
    /// Where its media comes from, once it is connected.
    pub remote: Option<SocketAddr>,
    /// What the publisher's tracks carry; outer `None` for a track that was not negotiated.
    media: [Option<Option<Format>>; 2],
    first_media: Option<Instant>,
    said_live: bool,
    /// It did send once, and does not now.
    fell_silent: bool,
    /// What may be wrong with what it sends now, and what each measures.
    pub lint: BTreeMap<LintCode, i64>,
}

impl SessionNote {
    pub fn new(admission: &Admission, stream: &str) -> Self {
        Self {
            stream: stream.into(),
            is_publisher: matches!(admission.role, Role::Publisher { .. }),
            started_at: unix_now(),
            remote: None,
            media: MediaKind::ALL.map(|kind| admission.plan.track(kind).map(|_| None)),
            first_media: None,
            said_live: false,
            fell_silent: false,
            lint: BTreeMap::new(),
        }
    }

    fn who(&self) -> &'static str {
        if self.is_publisher { "publisher" } else { "viewer" }
    }

    /// What its tracks carry, video first, as people say it.
    pub fn formats(&self) -> impl Iterator<Item = &Format> {
        self.media.iter().rev().flatten().flatten()
    }

    fn say_flow(&mut self, session: SessionId, flows: bool) {
        match (flows, std::mem::replace(&mut self.fell_silent, !flows)) {
            (true, true) => tracing::info!(stream = &*self.stream, %session, "publisher sends again"),
            (true, false) => {}
            (false, _) => tracing::warn!(
                stream = &*self.stream,
                %session,
                fix = "see whether the encoder has stopped or its line is cut",
                "publisher is connected and sends nothing"
            ),
        }
    }

    fn on_lint(&mut self, session: SessionId, news: LintNews) {
        let (stream, code) = (&*self.stream, news.code.code());
        match news.value {
            Some(value) => {
                tracing::warn!(stream, %session, code, fix = news.code.fix(), "{}", news.code.sentence(value));
                self.lint.insert(news.code, value);
            }
            None => {
                tracing::info!(stream, %session, code, "no longer so");
                self.lint.remove(&news.code);
            }
        }
    }

    fn codecs(&self) -> String {
        self.formats().map(Format::to_string).collect::<Vec<_>>().join(" + ")
    }

    fn has_all_media(&self) -> bool {
        self.media.iter().flatten().all(Option::is_some)
    }
}

impl Signalling {
    /// Hears the engine's events until its end of the channel is gone.
    pub async fn follow(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0u32;
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => return,
                },
                _ = tick.tick() => {
                    ticks = ticks.wrapping_add(1);
                    self.on_tick(ticks.is_multiple_of(TICKS_OF_DESK));
                }
            }
        }
    }

    fn on_tick(&self, is_desks: bool) {
        let mut guard = self.front();
        let front = &mut *guard;
        let now = Instant::now();
        if is_desks {
            front.queues.tidy();
            front.listeners.tidy();
            let effects = front.desk.tick(now, unix_now());
            let _ = self.carry_out(front, effects);
        }
        let effects = front.desk.settle_inputs(now);
        let _ = self.carry_out(front, effects);
        front.refusals.say_folded(now);
        for (session, note) in &mut front.notes {
            if note.first_media.is_some_and(|first| now > first + BOTH_TRACKS_WITHIN) && !note.said_live {
                say_live(*session, note);
            }
        }
    }

    fn on_event(&self, event: Event) {
        let now = Instant::now();
        let mut guard = self.front();
        let front = &mut *guard;
        match event {
            Event::Claimed(session, ShardId(shard)) => {
                tracing::debug!(%session, shard, "first check arrived")
            }
            Event::Connected { session, remote, srtp_profile } => {
                let effects = front.desk.on_connected(now, session);
                let _ = self.carry_out(front, effects);
                if let Some(note) = front.notes.get_mut(&session) {
                    note.remote = Some(remote);
                    tracing::info!(stream = &*note.stream, %session, srtp_profile, "{} connected", note.who());
                    tracing::debug!(%session, %remote, "connected from");
                }
            }
            Event::Media { session, kind, format, .. } => {
                front.desk.on_media(session, kind, format);
                on_media(front, now, session, kind, format);
            }
            Event::Layers { stream, layers } => front.desk.on_layers(stream, &layers),
            Event::Ended(session, reason) => {
                let effects = front.desk.on_ended(now, session);
                let _ = self.carry_out(front, effects);
                if let Some(note) = front.notes.remove(&session) {
                    say_ended(session, &note, reason);
                }
            }
            Event::Flow { session, flows } => {
                let effects = front.desk.on_flow(now, session, flows);
                let _ = self.carry_out(front, effects);
                if let Some(note) = front.notes.get_mut(&session) {
                    note.say_flow(session, flows);
                }
            }
            Event::Lint { session, news } => {
                if let Some(note) = front.notes.get_mut(&session) {
                    note.on_lint(session, news);
                }
            }
            Event::Shown { session, epoch } => {
                let effects = front.desk.on_shown(now, session, epoch);
                let _ = self.carry_out(front, effects);
                let backup = front.desk.input(session).map_or(0, |input| input.backup);
                if let Some(note) = front.notes.get(&session) {
                    tracing::info!(stream = &*note.stream, %session, backup, "input shown");
                }
            }
            Event::Drained(_) => self.drained_shards.send_modify(|shards| *shards += 1),
        }
    }
}

fn on_media(front: &mut Front, now: Instant, session: SessionId, kind: MediaKind, format: Format) {
    let Some(note) = front.notes.get_mut(&session) else { return };
    let before = note.media[kind.index()].replace(Some(format)).flatten();
    note.first_media.get_or_insert(now);
    if !note.said_live {
        if note.has_all_media() {
            say_live(session, note);
        }
    } else if before.is_none() {
        tracing::info!(stream = &*note.stream, %session, codecs = note.codecs(), "publisher added {kind}");
    } else {
        tracing::info!(stream = &*note.stream, %session, codecs = note.codecs(), "publisher changed its {kind}");
    }
}

fn say_live(session: SessionId, note: &mut SessionNote) {
    note.said_live = true;
    tracing::info!(stream = &*note.stream, %session, codecs = note.codecs(), "publisher is live");
}

fn say_ended(session: SessionId, note: &SessionNote, reason: EndReason) {
    let (stream, who, code) = (&*note.stream, note.who(), reason.code());
    match reason {
        EndReason::Crashed => {
            tracing::error!(stream, %session, "{who}'s session crashed: a bug in wtn, please report it");
        }
        EndReason::NeverConnected => tracing::warn!(
            stream,
            %session,
            reason = code,
            fix = "see that the media port's UDP is open from there to here, and that media.public_addresses \
                   has the address by which clients reach it",
            "{who} never connected: its HTTP came through, its media did not"
        ),
        EndReason::WrongCertificate => {
            tracing::warn!(stream, %session, reason = code, "{who} showed another certificate than its SDP said");
        }
        EndReason::LineHopeless => tracing::warn!(
            stream,
            %session,
            reason = code,
            fix = "publish several encodings (simulcast) or a lower bitrate, for viewers on thin lines",
            "{who} sent away: its line loses most of what it is sent"
        ),
        _ => tracing::info!(stream, %session, reason = code, "{who} left"),
    }
}
