//! Requests that the desk would refuse now and may well grant within some round trips: viewers that come in a crowd
//! from one address. They are kept, first come, first served, and asked for again when there is room.

use std::collections::{HashMap, VecDeque};
use tokio::sync::oneshot;
use wtn_wish::QueueId;

/// Everybody who waits. No more than there are HTTP connections, which are bounded.
#[derive(Debug, Default)]
pub(crate) struct Queues(HashMap<QueueId, VecDeque<oneshot::Sender<()>>>);

impl Queues {
    /// Stands at the end. What comes back tells when to try again.
    pub fn join(&mut self, queue: QueueId) -> oneshot::Receiver<()> {
        let (call, called) = oneshot::channel();
        self.0.entry(queue).or_default().push_back(call);
        called
    }

    /// Calls the next two: whoever connected left a place, and showed that one more may be on the way.
    pub fn make_room(&mut self, queue: QueueId) {
        let Some(waiting) = self.0.get_mut(&queue) else { return };
        let mut called = 0;
        while called < 2
            && let Some(call) = waiting.pop_front()
        {
            // One who has gone is passed over.
            called += usize::from(call.send(()).is_ok());
        }
    }

    /// Forgets who has gone. Called now and then.
    pub fn tidy(&mut self) {
        self.0.retain(|_, waiting| {
            waiting.retain(|call| !call.is_closed());
            !waiting.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_are_called_at_a_time_in_their_order_and_who_has_gone_is_passed_over() {
        let mut queues = Queues::default();
        let queue = QueueId(1);
        let gone = queues.join(queue);
        let mut stays: Vec<_> = (0..3).map(|_| queues.join(queue)).collect();
        let mut other = queues.join(QueueId(2));
        drop(gone);
        queues.make_room(queue);
        let called: Vec<_> = stays.iter_mut().map(|called| called.try_recv().is_ok()).collect();
        assert_eq!(called, [true, true, false]);
        assert!(other.try_recv().is_err());
        drop((stays, other));
        queues.tidy();
        assert!(queues.0.is_empty());
        queues.make_room(queue);
    }
}
