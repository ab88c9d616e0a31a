//! The JSON Schema, held against files that are right and files that are not.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::{Value, json};
use wtn::config::{Config, schema, starting_file};

/// TOML as a JSON Schema sees it: dates and times are texts.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(moment) => json!(moment.to_string()),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect())
        }
        plain => serde_json::to_value(plain).unwrap(),
    }
}

struct Validator(Schemas, SchemaIndex);

impl Validator {
    /// Compiling also holds the schema against that of JSON Schema itself.
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("wtn.json", schema()).unwrap();
        let index = compiler.compile("wtn.json", &mut schemas).unwrap_or_else(|fault| panic!("{fault:#}"));
        Self(schemas, index)
    }

    fn takes(&self, text: &str) -> bool {
        self.0.validate(&json(toml::Value::Table(text.parse().unwrap())), self.1).is_ok()
    }
}

/// The file of `config init` with everything in effect that has a default.
fn uncommented() -> String {
    let lines = starting_file().lines().map(str::to_owned).collect::<Vec<_>>();
    let setting = |line: &String| {
        let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '['])).map(str::to_owned);
        setting.filter(|setting| !setting.ends_with('=')).or_else(|| Some(line.clone()))
    };
    // Elements of lists have no defaults of their own.
    let plain = lines.iter().take_while(|line| !line.starts_with("#[["));
    plain.filter_map(setting).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_starting_file_is_right_with_and_without_its_comments() {
    let (commented, uncommented, validator) = (starting_file(), uncommented(), Validator::new());
    assert!(validator.takes(&commented) && validator.takes(&uncommented));
    for text in [commented, uncommented.clone()] {
        let config = Config::read(Some(("init", &text)), [], &[]).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(config, Config::default());
    }
    assert!(
        uncommented.contains("\nlisten = ") && uncommented.contains("\ngrace_seconds = 10"),
        "{uncommented}"
    );
}

#[test]
fn the_schema_and_the_reader_agree() {
    let validator = Validator::new();
    let fine = [
        "shards = 1",
        "http.listen = 80",
        "http.listen = \":80\"",
        "http.listen = \"[::1]:80\"",
        "http.public_url = \"https://a.example\"",
        "streams.codecs = [\"vp9\"]",
        "media.public_addresses = [\"2001:db8::1\"]",
        "[[endpoints]]\nname = \"a\"\nplay_keys = [\"k\", { key = \"l\", expires_at = 2030-01-01T00:00:00Z }]",
        "[[endpoints]]\nname = \"a\"\nice_servers = [{ url = \"turn:x?transport=udp\", secret = \"s\" }]",
        "[[redirects]]\nnames = \"*\"\nto = \"http://b.example:81/c\"",
    ];
    let broken = [
        "shards = 0",
        "shards = \"2\"",
        "shard = 2",
        "http.listen = \"everywhere\"",
        "http.listen = 65536",
        "http.public_url = \"ftp://a.example\"",
        "http.public_url = \"https://a.example/b\"",
        "streams.grace_seconds = 3601",
        "streams.no_publisher = \"hope\"",
        "streams.codecs = [\"divx\"]",
        "auth.open = 1",
        "auth.publish_keys = \"k\"",
        "auth.publish_keys = [\"a b\"]",
        "[endpoints.a]\nname = \"a\"",
        "[[endpoints]]\npolicy.max_viewers = 1",
        "[[endpoints]]\nname = \"a/b\"",
        "[[endpoints]]\nname = \"a\"\npolicy.max_viewer = 1",
        "[[endpoints]]\nname = \"a\"\nplay_keys = [{ id = \"x\" }]",
        "[[ice_servers]]\nurl = \"http://x\"",
        "[[redirects]]\nnames = \"a*b\"\nto = \"http://b.example\"",
    ];
    for text in fine {
        Config::read(Some(("fine", text)), [], &[]).unwrap_or_else(|faults| panic!("{faults}"));
        assert!(validator.takes(text), "{text}");
    }
    for text in broken {
        assert!(Config::read(Some(("broken", text)), [], &[]).is_err(), "{text}");
        assert!(!validator.takes(text), "{text}");
    }
}
