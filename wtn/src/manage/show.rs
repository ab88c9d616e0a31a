//! Answers of the server as people read them.

use super::api::Api;
use serde_json::Value;
use std::fmt::{self, Display, Formatter};

/// All endpoints.
pub struct Endpoints<'a>(pub &'a Value);

/// One endpoint, and its secrets if it is new.
pub struct Endpoint<'a> {
    pub api: &'a Api,
    pub view: &'a Value,
}

/// The keys of an endpoint.
pub struct Keys<'a>(pub &'a Value);

/// A key that was just made, and what it replaces.
pub struct FreshKey<'a>(pub &'a Value);

impl Display for Endpoints<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let endpoints = list(self.0);
        if endpoints.is_empty() {
            return writeln!(f, "no endpoints; make one with `wtn endpoint create NAME`");
        }
        let rows = endpoints.iter().map(|endpoint| {
            let count =
                |allows: &str| list(&endpoint["keys"]).iter().filter(|key| key["allows"] == allows).count();
            vec![
                text(&endpoint["name"]),
                text(&endpoint["origin"]),
                format!("{} publish, {} play", count("publish"), count("play")),
                settings(&endpoint["policy"]),
            ]
        });
        table(f, "", &["NAME", "KEPT IN", "KEYS", "POLICY"], rows)
    }
}

impl Display for Endpoint<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let view = self.view;
        writeln!(f, "{}", text(&view["name"]))?;
        writeln!(f, "  WHIP     {}", self.api.url(&text(&view["whip"])))?;
        writeln!(f, "  WHEP     {}", self.api.url(&text(&view["whep"])))?;
        match view["origin"].as_str() {
            Some("config") => writeln!(f, "  Kept in  the configuration file, and changed there")?,
            _ => writeln!(
                f,
                "  Kept in  the store, made {}, changed {}",
                moment(&view["created_at"]),
                moment(&view["changed_at"])
            )?,
        }
        let policy = settings(&view["policy"]);
        writeln!(f, "  Policy   {}", if policy.is_empty() { "the server's" } else { &policy })?;
        match view["ice_servers"].as_array() {
            None => writeln!(f, "  ICE      the server's")?,
            Some(servers) if servers.is_empty() => writeln!(f, "  ICE      none")?,
            Some(servers) => {
                for server in servers {
                    let (url, credentials) = (text(&server["url"]), text(&server["credentials"]));
                    writeln!(f, "  ICE      {url} (credentials: {credentials})")?;
                }
            }
        }
        if list(&view["keys"]).is_empty() {
            writeln!(f, "  Keys     the server's")?;
        } else {
            writeln!(f, "  Keys")?;
            keys(f, "    ", &view["keys"])?;
        }
        let secrets = list(&view["secrets"]);
        if !secrets.is_empty() {
            writeln!(f, "\nThe secrets, shown this once:")?;
        }
        for (key, secret) in list(&view["keys"]).iter().zip(secrets) {
            writeln!(f, "  {:8} {}", text(&key["allows"]), text(&secret["secret"]))?;
        }
        Ok(())
    }
}

impl Display for Keys<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if list(self.0).is_empty() {
            return writeln!(f, "no keys of its own: the server's hold");
        }
        keys(f, "", self.0)
    }
}

impl Display for FreshKey<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = self.0;
        keys(f, "", &Value::Array(vec![key.clone()]))?;
        if let Some(id) = key["replaces"]["id"].as_str() {
            writeln!(f, "\n{id} still opens until {}", moment(&key["replaces"]["expires_at"]))?;
        }
        writeln!(f, "\nThe secret, shown this once:\n  {}", text(&key["secret"]))
    }
}

fn keys(f: &mut Formatter<'_>, indent: &str, keys: &Value) -> fmt::Result {
    let rows = list(keys).iter().map(|key| {
        let expires =
            if key["expires_at"].is_null() { "never".to_owned() } else { moment(&key["expires_at"]) };
        vec![text(&key["id"]), text(&key["allows"]), text(&key["label"]), expires]
    });
    table(f, indent, &["ID", "ALLOWS", "LABEL", "EXPIRES"], rows)
}

fn table(
    f: &mut Formatter<'_>,
    indent: &str,
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> fmt::Result {
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(f, "{indent}{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text as it is but for what could move a terminal's cursor; an absent one as nothing.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).collect()
}

/// `max_viewers=5 codecs=h264,opus`.
fn settings(policy: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::String(_) => text(value),
        other => other.to_string(),
    };
    let pairs = policy.as_object().into_iter().flatten();
    pairs.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
}

/// Seconds since 1970 as `2026-11-20 16:07 UTC`.
fn moment(value: &Value) -> String {
    let Some(seconds) = value.as_i64() else { return "at an unknown time".to_owned() };
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that leap days come last; eras have 400 of them.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0i64, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_795_190_820, "2026-11-20 16:07 UTC"),
            (4_107_542_399, "2100-02-28 23:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(moment(&json!(seconds)), expected);
        }
    }

    #[test]
    fn lists_are_tables() {
        let endpoints = json!([
            { "name": "studio", "origin": "store", "keys": [{ "allows": "publish" }],
              "policy": { "codecs": ["h264", "opus"], "max_viewers": 5 } },
            { "name": "a", "origin": "config", "keys": [], "policy": {} },
        ]);
        let expected = "\
NAME    KEPT IN  KEYS               POLICY
studio  store    1 publish, 0 play  codecs=h264,opus max_viewers=5
a       config   0 publish, 0 play
";
        assert_eq!(Endpoints(&endpoints).to_string(), expected);
        assert!(Endpoints(&json!([])).to_string().contains("wtn endpoint create"));
    }

    #[test]
    fn a_label_cannot_move_the_cursor() {
        let keys = json!([{ "id": "k", "allows": "play", "label": "a\u{1b}[2Jb", "expires_at": 0 }]);
        assert_eq!(
            Keys(&keys).to_string().lines().last().unwrap(),
            "k   play    a[2Jb  1970-01-01 00:00 UTC"
        );
    }
}
