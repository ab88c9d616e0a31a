//! `wtn endpoint` and `wtn key` on the command line.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

const ENDPOINT_EXAMPLES: &str = "\
They talk to a running server, by default to the one on this machine.

Keys of --set: second_publisher, hold_down_seconds, no_publisher, grace_seconds, codecs, max_viewers, max_bitrate_kbps,
counter_offer, trickle_without_tag, session_url_is_capability, end_on_revoke, ice_servers. An empty value goes back to
the server's.

Examples:
  wtn endpoint create studio --publish-key --play-key
  wtn endpoint change studio --set max_viewers=500 --set codecs=h264,opus
  wtn endpoint change studio --set max_viewers= --set ice_servers=stun:stun.example.com
  wtn endpoint list --server https://live.example.com --admin-key KEY
  wtn endpoint destroy studio

Exit codes: 0 done, 1 refused, 2 usage, 69 no server there, 77 not permitted.
";

const KEY_EXAMPLES: &str = "\
They talk to a running server, by default to the one on this machine. A secret is shown once, when it is made.

Examples:
  wtn key create studio --allows publish --label 'camera 2' --expires-in 30d
  wtn key list studio
  wtn key rotate studio k7m2pqp4 --overlap 1h
  wtn key revoke studio k7m2pqp4

Exit codes: 0 done, 1 refused, 2 usage, 69 no server there, 77 not permitted.
";

#[derive(Args, Debug)]
#[command(after_help = ENDPOINT_EXAMPLES)]
pub struct EndpointArgs {
    #[command(subcommand)]
    pub verb: EndpointVerb,
}

#[derive(Args, Debug)]
#[command(after_help = KEY_EXAMPLES)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub verb: KeyVerb,
}

/// Which server, and how to print.
#[derive(Args, Debug)]
pub struct ServerArgs {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://localhost:8080", env = "WTN_SERVER")]
    pub server: String,
    /// One of its auth.admin_keys; none is needed on its own machine.
    #[arg(long, value_name = "KEY", env = "WTN_ADMIN_KEY", hide_env_values = true)]
    pub admin_key: Option<String>,
    /// Print the server's answer, in JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum EndpointVerb {
    /// List all endpoints.
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Show an endpoint and its keys.
    Show {
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make an endpoint.
    Create {
        name: String,
        /// Make a key that allows publishing, without which the server's own do.
        #[arg(long)]
        publish_key: bool,
        /// Make a key that allows watching, without which the server's own do, or everybody may.
        #[arg(long)]
        play_key: bool,
        /// Depart from the server's policy; may be repeated.
        #[arg(long, value_name = "KEY=VALUE", value_parser = Setting::parse)]
        set: Vec<Setting>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Change an endpoint. Running sessions go on.
    Change {
        name: String,
        /// Depart from the server's policy, or with an empty value go back to it; may be repeated.
        #[arg(long, value_name = "KEY=VALUE", required = true, value_parser = Setting::parse)]
        set: Vec<Setting>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Destroy an endpoint and end its sessions.
    Destroy {
        name: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key of an endpoint.
    Create {
        /// The endpoint.
        #[arg(value_name = "NAME")]
        endpoint: String,
        /// What it opens.
        #[arg(long)]
        allows: Allows,
        #[command(flatten)]
        more: KeyOptions,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the keys of an endpoint.
    List {
        /// The endpoint.
        #[arg(value_name = "NAME")]
        endpoint: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take a key away, at once.
    Revoke {
        /// The endpoint.
        #[arg(value_name = "NAME")]
        endpoint: String,
        /// The key's id, as in the list.
        id: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put a new key in the place of an old one, which still opens for a while.
    Rotate {
        /// The endpoint.
        #[arg(value_name = "NAME")]
        endpoint: String,
        /// The old key's id, as in the list.
        id: String,
        /// How long the old one still opens, such as 90s, 15m, 1h or 7d; 0 for no more [default: 1d].
        #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
        overlap: Option<u64>,
        #[command(flatten)]
        more: KeyOptions,
        #[command(flatten)]
        server: ServerArgs,
    },
}

#[derive(Args, Debug)]
pub struct KeyOptions {
    /// What people call it.
    #[arg(long)]
    label: Option<String>,
    /// When it stops to open, from now on, such as 90s, 15m, 1h or 7d.
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    expires_in: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Allows {
    Publish,
    Play,
}

impl Allows {
    pub fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
        }
    }
}

impl KeyOptions {
    /// As the API takes them, added to `fields`.
    pub fn add_to(self, fields: Value) -> Value {
        let mut fields = fields;
        if let Some(label) = self.label {
            fields["label"] = label.into();
        }
        if let Some(seconds) = self.expires_in {
            fields["expires_in_seconds"] = seconds.into();
        }
        fields
    }
}

/// One `--set`: a path in the endpoint, and its value as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    field: String,
    value: Value,
}

impl Setting {
    fn parse(text: &str) -> Result<Self, String> {
        let (field, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
        let (field, value) = (field.trim().trim_start_matches("policy."), value.trim());
        let items = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
        let value = match (field, serde_json::from_str(value)) {
            _ if value.is_empty() => Value::Null,
            (_, Ok(value)) => value,
            ("codecs", Err(_)) => items().collect(),
            ("ice_servers", Err(_)) => items().map(|url| json!({ "url": url })).collect(),
            (_, Err(_)) => Value::from(value),
        };
        Ok(Self { field: field.to_owned(), value })
    }

    /// What all of them say, as the API takes it. It is the server that knows which keys there are.
    pub fn body(settings: Vec<Self>) -> Value {
        let (mut body, mut policy) = (Map::new(), Map::new());
        for Self { field, value } in settings {
            let place = if field == "ice_servers" { &mut body } else { &mut policy };
            place.insert(field, value);
        }
        if !policy.is_empty() {
            body.insert("policy".to_owned(), Value::Object(policy));
        }
        Value::Object(body)
    }
}

/// `90s`, `15m`, `1h`, `7d`, or plain seconds.
fn parse_seconds(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("write it like 90s, 15m, 1h or 7d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "write it like 90s, 15m, 1h or 7d")?;
    number.checked_mul(scale).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_a_patch() {
        let parse = |text: &str| Setting::parse(text).unwrap();
        let body = Setting::body(vec![
            parse("max_viewers=5"),
            parse("policy.grace_seconds="),
            parse("second_publisher=reject"),
            parse("codecs=h264, opus"),
            parse("end_on_revoke=true"),
            parse("ice_servers=stun:a.example,stun:b.example"),
        ]);
        let expected = json!({
            "ice_servers": [{ "url": "stun:a.example" }, { "url": "stun:b.example" }],
            "policy": {
                "max_viewers": 5, "grace_seconds": null, "second_publisher": "reject", "codecs": ["h264", "opus"],
                "end_on_revoke": true,
            },
        });
        assert_eq!(body, expected);
        let turn = parse("ice_servers=[{\"url\": \"turn:t.example\", \"secret\": \"s\"}]");
        assert_eq!(Setting::body(vec![turn])["ice_servers"][0]["secret"], "s");
        assert!(Setting::parse("max_viewers").is_err());
    }

    #[test]
    fn long_times_are_written_as_people_write_them() {
        for (text, seconds) in [("0", 0), ("90s", 90), ("15m", 900), ("1h", 3600), ("7d", 604_800)] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        for text in ["", "d", "1w", "-1s", "1.5h", "99999999999999999999d", "999999999999999999d"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
