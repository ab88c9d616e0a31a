//! Backup inputs in the real program: two encoders, a player that stays, and an encoder that stands still.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod server;

use rustix::process::{Pid, Signal, kill_process};
use server::{PATIENCE, Server, until};
use std::process::{Child, Command, Stdio};

/// A client of the server, gone with the value.
struct Client(Child);

impl Client {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wtn"));
        command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Of each input, the oldest first: is it shown, does it send?
fn inputs(server: &Server) -> Vec<(bool, bool)> {
    let answer = server.get("/api/v1/streams");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let streams: serde_json::Value = serde_json::from_str(body).unwrap();
    let of = |input: &serde_json::Value| (input["shown"] == true, input["sends"] == true);
    streams[0]["inputs"].as_array().into_iter().flatten().map(of).collect()
}

#[test]
fn whip_15_a_player_stays_while_its_encoder_stands_still_and_comes_back() {
    let config =
        "shards = 2\n[auth]\nopen = true\n[streams]\nsecond_publisher = \"backup\"\nhold_down_seconds = 1\n";
    let server = Server::start("inputs", config);
    let (whip, whep) = (format!("{}/whip/live", server.base()), format!("{}/whep/live", server.base()));
    let main = Client::start(&["publish", "test", "--loop", "--to", &whip]);
    until("the main input is shown", PATIENCE, || inputs(&server) == [(true, true)]);
    let _backup = Client::start(&["publish", "test", "--loop", "--to", &format!("{whip}?backup=1")]);
    until("the backup stands by", PATIENCE, || inputs(&server) == [(true, true), (false, true)]);
    let player = Client::start(&["play", &whep, "--for", "600s", "--expect", "h264+opus", "--json"]);
    until("the player is there", PATIENCE, || server.metric("wtn_packets_out_total") > 0.0);

    main.signal(Signal::STOP);
    until("the backup is shown", PATIENCE, || inputs(&server) == [(false, false), (true, true)]);
    let sent = server.metric("wtn_packets_out_total");
    until("the player gets it", PATIENCE, || server.metric("wtn_packets_out_total") > sent + 100.0);
    main.signal(Signal::CONT);
    until("the main input is back", PATIENCE, || inputs(&server) == [(true, true), (false, true)]);
    let sent = server.metric("wtn_packets_out_total");
    until("the player gets it", PATIENCE, || server.metric("wtn_packets_out_total") > sent + 100.0);

    player.signal(Signal::INT);
    let mut player = player;
    let report: serde_json::Value = serde_json::from_reader(player.0.stdout.take().unwrap()).unwrap();
    assert_eq!(report["ok"], true, "{report}");
    assert_eq!(player.0.wait().unwrap().code(), Some(0), "one session from the first picture to the last");
}
