//! Configuration: what each source may say, and that every fault is shown with its place and its fix.

use wtn::config::{Config, LogFormat, SecondPublisher};

fn read(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Config, String> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sets: Vec<_> = sets.iter().map(|set| (*set).to_owned()).collect();
    Config::read(Some(("wtn.toml", file)), env, &sets).map_err(|faults| faults.to_string())
}

fn set(pair: &str) -> Result<Config, String> {
    read("", &[], &[pair])
}

#[test]
fn nothing_said_means_the_defaults() {
    assert_eq!(read("", &[("HOME", "/")], &[]), Ok(Config::default()));
    assert_eq!(Config::default().http_listen.port(), 8080);
    assert_eq!(Config::default().media_listen.port(), 8189);
}

#[test]
fn a_file_may_set_every_key() {
    let text = r#"
        shards = 3
        data_dir = "/var/lib/wtn"
        [http]
        listen = "127.0.0.1:80"
        [media]
        listen = "[::1]:8190"
        public_addresses = ["203.0.113.7", "2001:db8::7"]
        [auth]
        open = true
        publish_keys = ["a-long-key"]
        play_keys = ["other.key", "k2"]
        [streams]
        second_publisher = "reject"
        grace_seconds = 30
        [log]
        format = "json"
    "#;
    let config = read(text, &[], &[]).unwrap();
    assert_eq!(config.shards, Some(3));
    assert_eq!(config.data_dir.unwrap().to_str(), Some("/var/lib/wtn"));
    assert_eq!(config.http_listen.to_string(), "127.0.0.1:80");
    assert_eq!(config.media_listen.to_string(), "[::1]:8190");
    assert_eq!(config.public_addresses.len(), 2);
    assert!(config.open);
    assert_eq!(config.publish_keys[0].reveal(), "a-long-key");
    assert_eq!(config.play_keys.len(), 2);
    assert_eq!(config.policy.second_publisher, SecondPublisher::Reject);
    assert_eq!(config.policy.grace_seconds, 30);
    assert_eq!(config.log_format, LogFormat::Json);
}

#[test]
fn the_later_source_wins() {
    let file = "shards = 1\n[http]\nlisten = \":1\"\n[media]\nlisten = \":1\"";
    let env = [("WTN__HTTP__LISTEN", ":2"), ("WTN__MEDIA__LISTEN", ":2"), ("PATH", "/bin")];
    let config = read(file, &env, &["media.listen=:3"]).unwrap();
    assert_eq!(config.shards, Some(1));
    assert_eq!(config.http_listen.port(), 2);
    assert_eq!(config.media_listen.port(), 3);
}

#[test]
fn values_outside_a_file_need_no_quotes() {
    assert_eq!(set("http.listen=0.0.0.0:80").unwrap().http_listen.to_string(), "0.0.0.0:80");
    assert_eq!(set("http.listen=:81").unwrap().http_listen.to_string(), "[::]:81");
    assert_eq!(set("http.listen=82").unwrap().http_listen.to_string(), "[::]:82");
    assert_eq!(set("http.listen=localhost:83").unwrap().http_listen.to_string(), "127.0.0.1:83");
    assert_eq!(set("data_dir=12").unwrap().data_dir.unwrap().to_str(), Some("12"));
    assert_eq!(set("auth.publish_keys=one,two").unwrap().publish_keys.len(), 2);
    assert_eq!(set("auth.publish_keys=12345").unwrap().publish_keys[0].reveal(), "12345");
    assert_eq!(set("auth.publish_keys=[\"a,b\"]").unwrap().publish_keys[0].reveal(), "a,b");
    assert_eq!(set("auth.open = true").map(|config| config.open), Ok(true));
    assert_eq!(set("log.format=json").unwrap().log_format, LogFormat::Json);
}

#[test]
fn faults_outside_a_file_name_their_source() {
    let cases = [
        (
            "shards=0",
            "--set shards: `shards` cannot be this; it wants the number of media threads, 1 to 256\n",
        ),
        (
            "shards=many",
            "--set shards: `shards` cannot be this; it wants the number of media threads, 1 to 256\n",
        ),
        ("htpp.listen=:80", "--set htpp.listen: unknown key `htpp.listen`; did you mean `http.listen`?\n"),
        (
            "streams.grace_seconds=3601",
            "--set streams.grace_seconds: `streams.grace_seconds` cannot be this; it wants seconds, 0 to 3600\n",
        ),
        ("something", "--set something: there is no `=`; write --set key=value\n"),
    ];
    for (pair, expected) in cases {
        assert_eq!(set(pair).unwrap_err(), expected);
    }
    let env = read("", &[("WTN__AUTH__OPNE", "true")], &[]).unwrap_err();
    assert_eq!(env, "WTN__AUTH__OPNE: unknown key `auth.opne`; did you mean `auth.open`?\n");
}

#[test]
fn an_unknown_key_is_underlined_and_the_nearest_is_named() {
    let fault = read("[http]\nlisten = \":80\"\nlisen = \":81\"\n", &[], &[]).unwrap_err();
    let expected = "\
wtn.toml:3:1: unknown key `http.lisen`
   |
 3 | lisen = \":81\"
   | ^^^^^ did you mean `listen`?
";
    assert_eq!(fault, expected);
}

#[test]
fn a_bad_value_is_underlined_and_what_it_should_be_is_said() {
    let fault = read("\n\n[media]\n  listen = \"everywhere\" # yes\n", &[], &[]).unwrap_err();
    let expected = "\
wtn.toml:4:12: `media.listen` cannot be this
   |
 4 |   listen = \"everywhere\" # yes
   |            ^^^^^^^^^^^^ it wants an address and a port, such as \"0.0.0.0:8189\" or \":8189\"
";
    assert_eq!(fault, expected);
}

#[test]
fn a_key_in_the_wrong_table_is_found() {
    let fault = read("open = true\n", &[], &[]).unwrap_err();
    assert!(fault.contains("did you mean `auth.open`?"), "{fault}");
    let fault = read("http = 5\n", &[], &[]).unwrap_err();
    assert!(fault.contains("write `[http]` on a line of its own"), "{fault}");
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_sources() {
    let file = "shards = 0\n[log]\nformat = \"xml\"\n[htp]\n";
    let faults = read(file, &[("WTN__LOG__FORMAT", "xml")], &["nope"]).unwrap_err();
    let places: Vec<_> = faults
        .lines()
        .filter(|line| !line.starts_with(' ') && !line.is_empty())
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(places, ["wtn.toml:1:10", "wtn.toml:3:10", "wtn.toml:4:2", "WTN__LOG__FORMAT", "--set nope"]);
}

#[test]
fn broken_toml_is_shown_where_it_breaks_and_the_rest_is_read_all_the_same() {
    let faults = read("shards = = 2\n[http]\nlisen = 1\n", &[], &[]).unwrap_err();
    assert!(faults.starts_with("wtn.toml:1:"), "{faults}");
    assert!(faults.contains("unknown key `http.lisen`"), "{faults}");
}

#[test]
fn auth_08_no_message_repeats_a_key() {
    let files = [
        "[auth]\npublish_keys = [\"hunter2 secret\"]\n",
        "[auth]\npublish_keys = \"hunter2\"\n",
        "[auth]\npublish_key = [\"hunter2\"]\n",
        "[auth]\npublish_kys = [\"hunter2\"]\n",
        "[auth]\nwho = [\"hunter2\"]\n",
        "[[ice_servers]]\nurl = \"turn:x\"\nsecrt = \"hunter2\"\n",
        "[[endpoints]]\nname = \"a\"\nplay_keys = [{ ky = \"hunter2\" }]\n",
        "[auth]\npublish_keys = [\n  \"hunter2\n]\n",
    ];
    for file in files {
        let fault = read(file, &[], &["auth.play_keys=[\"hunter2 x\"]"]).unwrap_err();
        assert!(!fault.contains("hunter2"), "{fault}");
    }
    let config = set("auth.publish_keys=hunter2").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn odd_text_never_breaks_the_excerpt() {
    for file in ["ключ = 1", "\u{feff}[x]", "a = \"\r\n", "\t\tb\t= 3", "[", "é = [1,\n2]"] {
        let fault = read(file, &[], &[]).unwrap_err();
        assert!(fault.contains('^'), "{fault}");
    }
}
