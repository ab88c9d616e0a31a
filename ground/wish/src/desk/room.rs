//! Whether there is room for one more session: what the stream's state and the bounds allow.

use super::Desk;
use super::table::{Place, Session, Stream};
use crate::auth::Door;
use crate::{NoPublisher, Problem, SecondPublisher};
use wtn_media::SessionId;

/// When to ask again while nobody publishes, and while somebody is about to.
const RETRY_IDLE_S: u32 = 2;
const RETRY_CONNECTING_S: u32 = 1;

impl Desk {
    /// Whether the stream's state and the bounds allow one more session.
    pub(super) fn check_room(&mut self, door: Door, name: &str, place: Option<Place>) -> Result<(), Problem> {
        if self.draining {
            return Err(Problem::draining());
        }
        match door {
            Door::Publish => self.check_publisher(name)?,
            Door::Play => self.check_viewer(name, place)?,
        }
        if let Some(overload) = self.overload.filter(|_| !self.is_return(door, name)) {
            return Err(Problem::overloaded(overload));
        }
        if self.table.session_count() >= self.config.limits.sessions {
            return Err(Problem::full("sessions", 5));
        }
        Ok(())
    }

    /// Whether somebody comes back whose stream is here: all that its viewers need is paid for already.
    fn is_return(&self, door: Door, name: &str) -> bool {
        door == Door::Publish && self.table.stream(name).is_some_and(|stream| stream.had_publisher)
    }

    fn check_publisher(&self, name: &str) -> Result<(), Problem> {
        let limits = &self.config.limits;
        let stream = self.table.stream(name);
        if let Some(stream) = stream {
            // One on the way holds the place too, or two encoders would both be told 201.
            let is_taken = stream.live.is_some() || stream.half_open_publishers > 0;
            match self.policy(name).second_publisher {
                SecondPublisher::Reject if is_taken => return Err(Problem::taken()),
                // Those that send nothing make room.
                SecondPublisher::Backup if self.busy_inputs(stream) >= limits.inputs => {
                    return Err(Problem::too_many_inputs(limits.inputs));
                }
                _ => {}
            }
            if stream.half_open_publishers >= limits.half_open_publishers {
                return Err(Problem::crowded_stream());
            }
        }
        // Streams that only wait do not count, or viewers could lock publishers out.
        let is_new = stream.is_none_or(|stream| !stream.had_publisher);
        if is_new && self.table.stream_count(true) >= limits.streams {
            return Err(Problem::full("streams", 5));
        }
        Ok(())
    }

    /// Inputs that send, and those on the way.
    fn busy_inputs(&self, stream: &Stream) -> usize {
        let flows = |id: &SessionId| {
            self.table.session(*id).and_then(Session::input).is_some_and(|input| input.flows_since.is_some())
        };
        stream.half_open_publishers + stream.inputs.iter().filter(|id| flows(id)).count()
    }

    fn check_viewer(&mut self, name: &str, place: Option<Place>) -> Result<(), Problem> {
        let limits = self.config.limits;
        let policy = self.policy(name);
        let (may_wait, max_viewers) = (policy.no_publisher == NoPublisher::Wait, policy.max_viewers);
        let stream = self.table.stream(name);
        if !may_wait && stream.is_none_or(|stream| stream.live.is_none()) {
            let is_near = stream.is_some_and(|stream| stream.half_open_publishers > 0);
            return Err(Problem::not_live(if is_near { RETRY_CONNECTING_S } else { RETRY_IDLE_S }));
        }
        let Some(stream) = stream else {
            return match max_viewers {
                Some(0) => Err(Problem::too_many_viewers(0)),
                _ if self.table.stream_count(false) >= limits.streams => Err(Problem::full("streams", 5)),
                _ => Ok(()),
            };
        };
        // Who is on the way has a seat.
        let seats = stream.viewers + stream.half_open_viewers;
        if let Some(max) = max_viewers.filter(|max| seats >= *max as usize) {
            return Err(Problem::too_many_viewers(max));
        }
        if stream.half_open_viewers >= limits.half_open_viewers {
            return Err(Problem::full("connecting viewers of this stream", 1));
        }
        let id = stream.id;
        match (place, self.table.stream_mut(id)) {
            (Some(place), Some(stream)) => {
                stream.crowd.admits(place, limits.patience).map_err(Problem::crowded_client)
            }
            _ => Ok(()),
        }
    }
}
