//! Whether there is room for one more session: what the stream's state and the bounds allow.

use super::Desk;
use crate::auth::Door;
use crate::{Problem, SecondPublisher};

/// When to ask again while nobody publishes, and while somebody is about to.
const RETRY_IDLE_S: u32 = 2;
const RETRY_CONNECTING_S: u32 = 1;

impl Desk {
    /// Whether the stream's state and the bounds allow one more session.
    pub(super) fn check_room(&self, door: Door, name: &str) -> Result<(), Problem> {
        if self.draining {
            return Err(Problem::draining());
        }
        let limits = &self.config.limits;
        let stream = self.table.stream(name);
        match (door, stream) {
            (Door::Play, Some(stream)) if stream.live.is_some() => {
                if stream.half_open_viewers >= limits.half_open_viewers {
                    return Err(Problem::full("connecting viewers of this stream", 1));
                }
            }
            (Door::Play, Some(stream)) if stream.half_open_publishers > 0 => {
                return Err(Problem::not_live(RETRY_CONNECTING_S));
            }
            (Door::Play, _) => return Err(Problem::not_live(RETRY_IDLE_S)),
            (Door::Publish, Some(stream)) => {
                // One on the way holds the place too, or two encoders would both be told 201.
                let is_taken = stream.live.is_some() || stream.half_open_publishers > 0;
                if is_taken && self.policy(name).second_publisher == SecondPublisher::Reject {
                    return Err(Problem::taken());
                }
                if stream.half_open_publishers >= limits.half_open_publishers {
                    return Err(Problem::crowded_stream());
                }
            }
            (Door::Publish, None) => {
                if self.table.stream_count() >= limits.streams {
                    return Err(Problem::full("streams", 5));
                }
            }
        }
        if self.table.session_count() >= limits.sessions {
            return Err(Problem::full("sessions", 5));
        }
        Ok(())
    }
}
