//! `[[redirects]]`.

use super::super::kinds::{Text, URL_WITH_PATH};
use super::super::table::{At, Key};
use super::super::tables::Tables;
use wtn_wish::{Redirect, is_stream_name};

pub(super) const REDIRECTS: Tables<Redirect> = Tables {
    keys: REDIRECT_KEYS,
    new: |_| Redirect { names: String::new(), to: String::new() },
    short: None,
    required: &["names", "to"],
    unique: "names",
    flaw: |_| None,
};

type Of<K> = At<Redirect, K>;

static REDIRECT_KEYS: &[Key<Redirect>] = &[
    Key {
        path: "names",
        about: "Which streams.",
        wants: "a stream's name, or how names begin and then *, such as \"studio-*\"",
        value: &Of { kind: NAMES, of: |redirect| &mut redirect.names },
    },
    Key {
        path: "to",
        about: "The other server.",
        wants: "an http or https URL, such as \"https://two.example.com\"; /whip/NAME is put behind it",
        value: &Of { kind: URL_WITH_PATH, of: |redirect| &mut redirect.to },
    },
];

const NAMES: Text<String> = Text {
    read: |text| {
        let start = text.strip_suffix('*').unwrap_or(text);
        (text == "*" || is_stream_name(start)).then(|| text.to_owned())
    },
    write: String::clone,
    pattern: "[A-Za-z0-9._~-]{1,64}\\*?|\\*",
};
