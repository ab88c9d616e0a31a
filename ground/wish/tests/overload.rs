//! A machine that is used up takes nobody who would add to its load; whoever runs, runs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod support;

use support::{Show, offer, refused};
use wtn_wish::{Method, Overload};

#[test]
fn who_would_add_to_the_load_waits_and_who_runs_runs() {
    let mut show = Show::open();
    show.publish("live", "pub-obs");
    let viewer = show.watch("live", "play-chromium");
    for what in [Overload::Cpu, Overload::Egress, Overload::Memory] {
        show.desk.set_overload(Some(what));
        let reply = show.post("/whep/live", &offer("play-chromium"));
        refused(&reply, 503, "overloaded");
        assert!(reply.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
        refused(&show.post("/whip/another", &offer("pub-obs")), 503, "overloaded");
    }
    let session = show.call(Method::Get, &viewer.url).send();
    assert_eq!(session.status, 204, "who watches, watches");
    // What it carries is paid for already: it serves the viewers who are here.
    assert_eq!(show.post("/whip/live", &offer("pub-obs")).status, 201);
    show.desk.set_overload(None);
    assert_eq!(show.post("/whep/live", &offer("play-chromium")).status, 201);
}
