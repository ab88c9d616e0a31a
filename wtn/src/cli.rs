//! The command line.

use crate::bench::BenchArgs;
use crate::configure::ConfigArgs;
use crate::manage::args::{EndpointArgs, KeyArgs};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use wtn::config::{Config, Faults, LogFormat, parse_listen};
use wtn_client::Expectation;
use wtn_media::Codec;

const EXAMPLES: &str = "\
Examples:
  wtn                            start the server: HTTP on port 8080, media on UDP port 8189
  wtn demo                       the same, with a test picture on air
  wtn --http :8081 --open        another port, and no keys
  wtn --config wtn.toml --set streams.grace_seconds=30
  wtn config check --config wtn.toml
  wtn publish test --to http://localhost:8080/whip/live --key KEY
  wtn play http://localhost:8080/whep/live
  wtn endpoint create studio --publish-key
  wtn conformance http://localhost:8080 --key KEY
  wtn bench fanout --viewers 1,10,100

Exit codes: 0 done, 1 failed, 2 usage, 69 port or server not available, 74 data folder not usable,
77 not permitted, 78 bad configuration, 130 second Ctrl-C.
";

const SERVE_EXAMPLES: &str = "\
Every key of the configuration can be set in three more ways, the later wins: in the file of --config, in the
environment (WTN__HTTP__LISTEN=:80), by --set http.listen=:80. The flags above win over all.

Examples:
  wtn serve
  wtn serve --open --http 127.0.0.1:9000 --media :9001
  wtn serve --set auth.play_keys=red-carpet --set streams.second_publisher=reject
";

const DEMO_EXAMPLES: &str = "\
Examples:
  wtn demo
  wtn demo --http :8081 --media :8190
";

const PUBLISH_EXAMPLES: &str = "\
Examples:
  wtn publish test --to http://localhost:8080/whip/live --key KEY
  wtn publish test --to https://example.com/whip/live --codec vp8 --loop
";

const PLAY_EXAMPLES: &str = "\
Examples:
  wtn play http://localhost:8080/whep/live
  wtn play http://localhost:8080/whep/live --for 5s --expect h264+opus --json
";

/// WebRTC broadcast server: WHIP in, WHEP out.
#[derive(Debug, Parser)]
#[command(name = "wtn", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the server (also what no verb at all does).
    Serve(ServeArgs),
    /// Start the server without any configuration, with a test picture on air.
    Demo(DemoArgs),
    /// Publish to a WHIP endpoint.
    Publish(PublishArgs),
    /// Watch a WHEP endpoint and tell what arrives.
    Play(PlayArgs),
    /// Check, show or begin a configuration file.
    Config(ConfigArgs),
    /// List, make, change and destroy the endpoints of a running server.
    Endpoint(EndpointArgs),
    /// List, make, revoke and rotate the keys of an endpoint.
    Key(KeyArgs),
    /// Check any WHIP and WHEP server against the standards.
    Conformance(crate::conformance::ConformanceArgs),
    /// Measure what a server costs.
    Bench(BenchArgs),
}

#[derive(Args, Debug)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// Where to serve HTTP [default: [::]:8080].
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    http: Option<SocketAddr>,
    /// Where media arrives, by UDP [default: [::]:8189].
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    media: Option<SocketAddr>,
    /// Number of media threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// Let anybody publish, without a key.
    #[arg(long)]
    open: bool,
    /// Read this configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "WTN_CONFIG")]
    pub config: Option<PathBuf>,
    /// Set one key of the configuration; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How log lines look [default: text].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<Format>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl ServeArgs {
    /// File, environment, `--set`, and the flags on top.
    pub fn to_config(&self) -> Result<Config, Faults> {
        let mut config = Config::load(self.config.as_deref(), &self.set)?;
        config.http_listen = self.http.unwrap_or(config.http_listen);
        config.media_listen = self.media.unwrap_or(config.media_listen);
        config.shards = self.shards.or(config.shards);
        config.open |= self.open;
        config.log_format = match self.log_format {
            None => config.log_format,
            Some(Format::Text) => LogFormat::Text,
            Some(Format::Json) => LogFormat::Json,
        };
        Ok(config)
    }
}

#[derive(Args, Debug)]
#[command(after_help = DEMO_EXAMPLES)]
pub struct DemoArgs {
    /// Where to serve HTTP.
    #[arg(long, value_name = "ADDR", default_value = ":8080", value_parser = parse_listen)]
    pub http: SocketAddr,
    /// Where media arrives, by UDP.
    #[arg(long, value_name = "ADDR", default_value = ":8189", value_parser = parse_listen)]
    pub media: SocketAddr,
}

#[derive(Args, Debug)]
#[command(after_help = PUBLISH_EXAMPLES)]
pub struct PublishArgs {
    /// What to publish.
    pub source: Source,
    /// The WHIP endpoint.
    #[arg(long, value_name = "WHIP_URL")]
    pub to: String,
    /// The bearer token.
    #[arg(long, env = "WTN_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Trust the certificates of this PEM file for https, instead of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Stop after this long [default: after one pass of ten seconds].
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub length: Option<Duration>,
    /// Again and again, until Ctrl-C.
    #[arg(long = "loop", conflicts_with = "length")]
    pub repeat: bool,
    /// The video codec.
    #[arg(long, default_value = "h264")]
    pub codec: VideoCodec,
    /// How long to try to get connected.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub wait: Duration,
    /// Report in JSON.
    #[arg(long)]
    pub json: bool,
}

/// What can be published.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Source {
    /// The built-in test picture, with sound.
    Test,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VideoCodec {
    H264,
    Vp8,
    Vp9,
    Av1,
}

impl From<VideoCodec> for Codec {
    fn from(codec: VideoCodec) -> Self {
        match codec {
            VideoCodec::H264 => Self::H264,
            VideoCodec::Vp8 => Self::Vp8,
            VideoCodec::Vp9 => Self::Vp9,
            VideoCodec::Av1 => Self::Av1,
        }
    }
}

#[derive(Args, Debug)]
#[command(after_help = PLAY_EXAMPLES)]
pub struct PlayArgs {
    /// The WHEP endpoint.
    #[arg(value_name = "WHEP_URL")]
    pub url: String,
    /// The bearer token.
    #[arg(long, env = "WTN_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// Trust the certificates of this PEM file for https, instead of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Stop after this long [default: at Ctrl-C].
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub length: Option<Duration>,
    /// Fail unless these codecs arrive, such as h264+opus.
    #[arg(long, value_name = "CODECS")]
    pub expect: Option<Expectation>,
    /// How long to try to get connected, waiting for a publisher included.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub wait: Duration,
    /// Report in JSON.
    #[arg(long)]
    pub json: bool,
}

/// `500ms`, `10s`, `2m`, `1h`, or plain seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("write it like 500ms, 10s, 2m or 1h".to_owned()),
    };
    let seconds: f64 = number.parse().map_err(|_| "write it like 500ms, 10s, 2m or 1h".to_owned())?;
    Duration::try_from_secs_f64(seconds * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_verb_means_serve() {
        let cli = Cli::try_parse_from(["wtn", "--open", "--http", ":9000"]).unwrap();
        assert!(cli.verb.is_none() && cli.serve.open);
        assert_eq!(cli.serve.http.unwrap().port(), 9000);
        assert!(Cli::try_parse_from(["wtn"]).unwrap().verb.is_none());
        assert!(matches!(Cli::try_parse_from(["wtn", "serve"]).unwrap().verb, Some(Verb::Serve(_))));
    }

    #[test]
    fn times_are_written_as_people_write_them() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("3", 3_000), ("1.5s", 1_500), ("2m", 120_000)] {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "-1s", "1 s", "ten", "1d", "1.2.3s", "99999999999999999999h"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
