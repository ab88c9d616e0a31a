//! Those who listen to server-sent events: one task each, which sleeps until there is news of its stream.
//!
//! A listener's memory is what it was told last; the wire has one frame under way and no more. Who does not take it in
//! time is let go, and may come back and hear how things stand then.

use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_util::sync::CancellationToken;
use wtn_media::StreamId;
use wtn_wish::{Bulletin, EventReader, Feed, FeedId, News};

/// What WHATWG has everybody skip.
const COMMENT: &str = ":\n\n";

/// How long things take.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// A comment is sent so often: proxies close what is silent for a minute, and a client that has gone shows by it.
    heartbeat: Duration,
    /// A frame is taken at once by whoever still listens.
    taken_within: Duration,
}

const PACE: Pace = Pace { heartbeat: Duration::from_secs(15), taken_within: Duration::from_secs(10) };

/// Everybody who listens.
#[derive(Debug)]
pub(crate) struct Listeners {
    /// How things stand with the streams that somebody listens to.
    streams: HashMap<StreamId, watch::Sender<Bulletin>>,
    /// How each is told that it is over. As many as the desk has event streams, each of which is read once at a time.
    ends: HashMap<FeedId, CancellationToken>,
    /// Each holds an HTTP connection, of which enough have to remain for signalling.
    places: Arc<Semaphore>,
    places_max: u32,
    pace: Pace,
}

impl Listeners {
    /// Nobody, and room for that many.
    pub fn new(places_max: usize) -> Self {
        let places_max = u32::try_from(places_max).unwrap_or(u32::MAX).min(Semaphore::MAX_PERMITS as u32);
        let places = Arc::new(Semaphore::new(places_max as usize));
        Self { streams: HashMap::new(), ends: HashMap::new(), places, places_max, pace: PACE }
    }

    /// One more listens, from how things stand now. One that reads the same event stream already has most likely lost its
    /// connection, and is let go. `None` if there is no room.
    pub fn enter(&mut self, feed: Feed, now: Bulletin) -> Option<EventBody> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let over = CancellationToken::new();
        if let Some(earlier) = self.ends.insert(feed.id, over.clone()) {
            earlier.cancel();
        }
        let stream = self.streams.entry(feed.stream).or_insert_with(|| watch::Sender::new(now));
        let (sender, frames) = mpsc::channel(1);
        let (reader, pace) = (EventReader::new(feed), self.pace);
        let listener = Listener { reader, news: stream.subscribe(), over, sender, pace };
        tokio::spawn(listener.run());
        Some(EventBody { frames, _place: place })
    }

    /// Hands out what the desk has to tell.
    pub fn tell(&mut self, news: News) {
        for (stream, bulletin) in news.bulletins {
            if let Some(sender) = self.streams.get(&stream) {
                sender.send_replace(bulletin);
            }
        }
        for feed in news.ended {
            if let Some(over) = self.ends.remove(&feed) {
                over.cancel();
            }
        }
    }

    /// Forgets streams that nobody listens to any more. Called now and then.
    pub fn tidy(&mut self) {
        self.streams.retain(|_, sender| sender.receiver_count() > 0);
    }

    /// Who is there, for waiting until all have gone.
    pub fn everybody(&self) -> Everybody {
        Everybody { places: Arc::clone(&self.places), all: self.places_max }
    }
}

/// All who listen.
pub(crate) struct Everybody {
    places: Arc<Semaphore>,
    all: u32,
}

impl Everybody {
    /// Until nobody listens.
    pub async fn gone(self) {
        let _ = self.places.acquire_many(self.all).await;
    }
}

/// One who listens.
struct Listener {
    reader: EventReader,
    news: watch::Receiver<Bulletin>,
    over: CancellationToken,
    sender: mpsc::Sender<Bytes>,
    pace: Pace,
}

impl Listener {
    async fn run(mut self) {
        let every = self.pace.heartbeat;
        let mut heartbeat = interval_at(Instant::now() + every, every);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_last = false;
        loop {
            let bulletin = self.news.borrow_and_update().clone();
            let events = std::iter::from_fn(|| self.reader.next(&bulletin));
            let text: String = events.map(|event| event.to_string()).collect();
            if !text.is_empty() && !self.send(text).await || is_last || bulletin.leave {
                // Who has been told to leave is told nothing else.
                return;
            }
            tokio::select! {
                news = self.news.changed() => is_last = news.is_err(),
                // What is known by then is still told.
                () = self.over.cancelled() => is_last = true,
                () = self.sender.closed() => return,
                _ = heartbeat.tick() => if !self.send(COMMENT.to_owned()).await { return },
            }
        }
    }

    /// False if the client is gone, or does not listen.
    async fn send(&self, text: String) -> bool {
        matches!(timeout(self.pace.taken_within, self.sender.send(text.into())).await, Ok(Ok(())))
    }
}

/// The body of the answer: what the listener's task says, until it ends.
#[derive(Debug)]
pub(crate) struct EventBody {
    frames: mpsc::Receiver<Bytes>,
    /// Free again when the connection is.
    _place: OwnedSemaphorePermit,
}

impl Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.frames.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_wish::events::{EventType, EventTypes};

    const STREAM: StreamId = StreamId(1);
    /// What is waited for comes at once, or the test is stuck.
    const STUCK: Duration = Duration::from_secs(20);

    fn listeners(places: usize) -> Listeners {
        let never = Duration::from_secs(3600);
        Listeners { pace: Pace { heartbeat: never, taken_within: never }, ..Listeners::new(places) }
    }

    fn feed(id: u64) -> Feed {
        let types = EventType::ALL.into_iter().collect::<EventTypes>();
        Feed { id: FeedId(id), stream: STREAM, types, picture: None, was_active: false }
    }

    fn count(viewers: usize) -> Bulletin {
        Bulletin { live: false, viewers, layers: Arc::new([]), leave: false }
    }

    fn news(bulletin: Bulletin) -> News {
        News { bulletins: vec![(STREAM, bulletin)], ended: Vec::new() }
    }

    fn viewers(viewers: usize) -> String {
        format!("event: viewercount\ndata: {{\"viewercount\":{viewers}}}\n\n")
    }

    async fn next(body: &mut EventBody) -> Option<String> {
        let frame = timeout(STUCK, body.frames.recv()).await.expect("a frame, or the end")?;
        Some(String::from_utf8(frame.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn whep_23_a_listener_hears_news_and_comments_while_there_is_none() {
        let pace = Pace { heartbeat: Duration::from_millis(5), ..PACE };
        let mut listeners = Listeners { pace, ..listeners(1) };
        let mut body = listeners.enter(feed(1), count(1)).expect("room");
        assert_eq!(next(&mut body).await, Some(viewers(1)));
        assert_eq!(next(&mut body).await.as_deref(), Some(COMMENT));
        listeners.tell(news(count(2)));
        let mut heard = next(&mut body).await;
        while heard.as_deref() == Some(COMMENT) {
            heard = next(&mut body).await;
        }
        assert_eq!(heard, Some(viewers(2)));
    }

    #[tokio::test]
    async fn whep_23_what_a_slow_listener_has_missed_is_not_kept_for_it() {
        let mut listeners = listeners(1);
        let mut body = listeners.enter(feed(1), count(0)).expect("room");
        for viewers in 1..10_000 {
            listeners.tell(news(count(viewers)));
            tokio::task::yield_now().await;
        }
        let mut heard = Vec::new();
        while heard.last() != Some(&viewers(9_999)) {
            heard.push(next(&mut body).await.expect("it is still there"));
        }
        assert!(heard.len() <= 3, "one under way, one in hand, and the latest: {heard:?}");
    }

    #[tokio::test]
    async fn whep_23_who_does_not_listen_is_let_go() {
        let pace = Pace { taken_within: Duration::from_millis(5), heartbeat: Duration::from_millis(5) };
        let mut listeners = Listeners { pace, ..listeners(1) };
        let mut body = listeners.enter(feed(1), count(0)).expect("room");
        let let_go = async {
            while !body.frames.is_closed() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(STUCK, let_go).await.expect("nobody took the comment");
        assert_eq!(next(&mut body).await, Some(viewers(0)), "what was under way");
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test]
    async fn whep_26_the_end_comes_after_what_was_to_be_told() {
        let mut listeners = listeners(1);
        let mut body = listeners.enter(feed(1), count(1)).expect("room");
        assert_eq!(next(&mut body).await, Some(viewers(1)));
        listeners.tell(News { bulletins: vec![(STREAM, count(2))], ended: vec![FeedId(1)] });
        assert_eq!(next(&mut body).await, Some(viewers(2)));
        assert_eq!(next(&mut body).await, None);
        drop(body);
        timeout(STUCK, listeners.everybody().gone()).await.expect("nobody is there");
        listeners.tidy();
        assert!(listeners.streams.is_empty() && listeners.ends.is_empty());
    }

    #[tokio::test]
    async fn whep_26_one_reader_an_event_stream_and_no_more_than_there_is_room_for() {
        let mut listeners = listeners(2);
        let mut first = listeners.enter(feed(1), count(1)).expect("room");
        let mut second = listeners.enter(feed(1), count(1)).expect("room");
        assert!(listeners.enter(feed(2), count(1)).is_none(), "two connections are held");
        while next(&mut first).await.is_some() {}
        drop(first);
        assert_eq!(next(&mut second).await, Some(viewers(1)), "the later one goes on");
        assert!(listeners.enter(feed(2), count(1)).is_some());
    }

    #[tokio::test]
    async fn lb_06_who_is_told_to_leave_is_let_go() {
        let mut listeners = listeners(1);
        let mut body = listeners.enter(feed(1), count(1)).expect("room");
        assert_eq!(next(&mut body).await, Some(viewers(1)));
        listeners.tell(news(Bulletin { leave: true, ..count(1) }));
        assert_eq!(next(&mut body).await.as_deref(), Some("event: reconnect\ndata: {}\n\n"));
        assert_eq!(next(&mut body).await, None);
    }
}
