//! Which of a stream's inputs is shown.
//!
//! Where an endpoint takes backups, every publisher stays connected, and the engine tells of each whether it sends.
//! The best is the main input, then its backups in their order, of equals the one that was there first. One that
//! falls silent is left at once, for whoever sends; one that returns is shown again, from a keyframe of its own on,
//! once it has been sending for the hold-down: an encoder that comes and goes does not take the picture along.

use super::Desk;
use super::table::{Input, Part, Session};
use crate::routes::Query;
use crate::{Effect, Ending, Family, Problem, Request, SecondPublisher};
use std::cmp::Reverse;
use std::time::{Duration, Instant};
use wtn_media::{SessionId, StreamId};

/// The last backup that may be named: more than there may be inputs.
const BACKUP_MAX: u8 = 9;

/// What was just connected has this long to send something before another is shown in its place.
const FIRST_MEDIA_WITHIN: Duration = Duration::from_secs(1);

/// What is to be done about a stream's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// This one, now.
    Show(SessionId),
    /// This one, from its next keyframe on.
    Cue(SessionId),
    /// The one that is shown stays.
    Stay,
    /// It stays for now; look again then.
    StayUntil(Instant),
}

impl Desk {
    /// The engine says: a publisher sends, or does not any more. The effects show another one, if that is better.
    pub fn on_flow(&mut self, now: Instant, session: SessionId, flows: bool) -> Vec<Effect> {
        if let Some(session) = self.table.session_mut(session) {
            let stream = session.stream;
            if let Some(input) = session.input_mut() {
                input.flows_since = flows.then(|| input.flows_since.unwrap_or(now));
                self.table.look_at(stream, None);
            }
        }
        self.settle_inputs(now)
    }

    /// The engine says: viewers get what this input sends, from this epoch on.
    pub fn on_shown(&mut self, now: Instant, session: SessionId, epoch: u32) -> Vec<Effect> {
        let Some(stream) = self.table.session(session).map(|session| session.stream) else {
            return Vec::new();
        };
        let live = self.table.stream_mut(stream).and_then(|stream| stream.live);
        // What was asked for since is under way, and news of it will come.
        let is_newest = live.and_then(|live| self.epoch_of(live)).is_none_or(|shown| shown < epoch);
        if is_newest {
            self.set_epoch(session, epoch);
            self.table.set_live(session);
            self.table.look_at(stream, None);
        }
        self.settle_inputs(now)
    }

    /// When [`settle_inputs`](Self::settle_inputs) has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.table.restless_at()
    }

    /// Chooses anew for every stream whose inputs have changed, or whose hold-down is over.
    pub fn settle_inputs(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(stream) = self.table.next_restless(now) {
            effects.extend(self.settle_stream(now, stream));
        }
        effects
    }

    fn settle_stream(&mut self, now: Instant, id: StreamId) -> Option<Effect> {
        let choice = self.choose(now, id);
        let stream = self.table.stream_mut(id)?;
        match choice {
            Choice::Show(session) => {
                stream.epoch += 1;
                let epoch = stream.epoch;
                self.set_epoch(session, epoch);
                self.table.set_live(session);
                Some(Effect::Show { stream: id, session, epoch, at_once: true })
            }
            Choice::Cue(session) if stream.cued.is_some_and(|(cued, _)| cued == session) => None,
            Choice::Cue(session) => {
                stream.epoch += 1;
                let epoch = stream.epoch;
                stream.cued = Some((session, epoch));
                Some(Effect::Show { stream: id, session, epoch, at_once: false })
            }
            Choice::Stay | Choice::StayUntil(_) => {
                let was_cued = stream.cued.take().is_some();
                let live = stream.live.filter(|_| was_cued);
                if let Choice::StayUntil(at) = choice {
                    self.table.look_at(id, Some(at));
                }
                // Whoever waits for a keyframe is to wait no more.
                let (session, epoch) = live.and_then(|live| Some((live, self.epoch_of(live)?)))?;
                Some(Effect::Show { stream: id, session, epoch, at_once: true })
            }
        }
    }

    fn choose(&self, now: Instant, id: StreamId) -> Choice {
        let Some(name) = self.table.name_of(id) else { return Choice::Stay };
        let Some(stream) = self.table.stream(name) else { return Choice::Stay };
        let hold_down = Duration::from_secs(self.policy(name).hold_down_seconds.into());
        let input =
            |id: &SessionId| self.table.session(*id).and_then(Session::input).map(|input| (*id, *input));
        let inputs = || stream.inputs.iter().filter_map(input);
        let best = inputs().min_by_key(|(id, input)| (input.flows_since.is_none(), input.backup, *id));
        let live = inputs().find(|(id, _)| Some(*id) == stream.live);
        match (live, best) {
            (None, Some((best, _))) => Choice::Show(best),
            (Some((live, shown)), Some((best, better))) if live != best => {
                choose_between(now, shown, (best, better), hold_down)
            }
            _ => Choice::Stay,
        }
    }

    /// The one to go if there are more inputs than may be: one that sends nothing, else the least wanted.
    pub(super) fn evict_input(&mut self, stream: StreamId) -> Option<Effect> {
        let max = self.config.limits.inputs;
        let inputs = &self.table.stream_mut(stream)?.inputs;
        if inputs.len() <= max {
            return None;
        }
        let inputs = inputs.clone();
        let worth = |id: &SessionId| {
            let input = self.table.session(*id).and_then(Session::input).copied().unwrap_or_default();
            let is_new = input.flows_since.is_none() && Some(id) == inputs.last();
            (input.flows_since.is_some() || is_new, Reverse(input.backup), *id)
        };
        let least = *inputs.iter().min_by_key(|id| worth(id))?;
        self.table.remove(least);
        Some(Effect::End(least, Ending::Replaced))
    }

    /// Which input a publisher wants to be: what its URL says, the main one if that says nothing.
    pub(super) fn input_of(&self, name: &str, request: &Request<'_>) -> Result<Input, Problem> {
        let stands_by = self.policy(name).second_publisher == SecondPublisher::Backup;
        let asked = match request.family {
            Family::Talwtn => None,
            _ => Query(request.query.unwrap_or_default()).value("backup"),
        };
        let backup = match asked {
            None => 0,
            Some(text) => {
                text.parse().ok().filter(|backup| *backup <= BACKUP_MAX).ok_or_else(Problem::bad_backup)?
            }
        };
        if backup > 0 && !stands_by {
            return Err(Problem::no_backups());
        }
        Ok(Input { stands_by, backup, ..Input::default() })
    }

    /// The epoch of a publisher.
    pub(super) fn epoch_of(&self, id: SessionId) -> Option<u32> {
        match self.table.session(id)?.part {
            Part::Publisher { epoch, .. } => Some(epoch),
            Part::Viewer => None,
        }
    }

    fn set_epoch(&mut self, id: SessionId, new: u32) {
        if let Some(Part::Publisher { epoch, .. }) =
            self.table.session_mut(id).map(|session| &mut session.part)
        {
            *epoch = new;
        }
    }
}

/// What becomes of an input that is shown, and is not the best one.
fn choose_between(now: Instant, shown: Input, (id, best): (SessionId, Input), hold_down: Duration) -> Choice {
    let (Some(since), Some(_)) = (best.flows_since, shown.flows_since) else {
        // Nobody sends, or it has not begun to, or it has ceased.
        let patience = shown.connected_at.map(|at| at + FIRST_MEDIA_WITHIN);
        return match (best.flows_since, patience) {
            (None, _) => Choice::Stay,
            (Some(_), Some(until)) if now < until => Choice::StayUntil(until),
            _ => Choice::Show(id),
        };
    };
    match since + hold_down {
        _ if best.backup >= shown.backup => Choice::Stay,
        steady_at if now < steady_at => Choice::StayUntil(steady_at),
        _ => Choice::Cue(id),
    }
}

impl Problem {
    pub(super) fn too_many_inputs(max: usize) -> Self {
        Self::new(
            409,
            "too_many_inputs",
            "All inputs are taken",
            format!(
                "This stream has {max} inputs that send or are connecting, which is as many as one may have."
            ),
            "Stop one of the encoders that publish this stream; one that sends nothing makes room by itself.",
        )
        .retry_after(5)
    }

    fn bad_backup() -> Self {
        Self::new(
            400,
            "bad_backup",
            "Which input?",
            "The URL's `backup` is not a number from 0 to 9.",
            "Leave it out for the main input; write ?backup=1 for the first backup, ?backup=2 for the second.",
        )
    }

    fn no_backups() -> Self {
        Self::new(
            422,
            "no_backups",
            "No backup inputs here",
            "This endpoint takes one publisher at a time, so a backup would not stand by.",
            "Set second_publisher = \"backup\" for this endpoint, or leave `backup` out of the URL.",
        )
    }
}
