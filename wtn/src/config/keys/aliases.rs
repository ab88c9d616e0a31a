//! `[aliases]` and `[[talwtn.apps]]`: whose URLs are understood besides our own.

use super::super::Config;
use super::super::kinds::{Flag, Hidden, List, Text};
use super::super::table::{At, Key};
use super::super::tables::Tables;
use wtn_wish::{TalwtnApp, is_stream_name};

type Of<K> = At<Config, K>;

pub(super) const MEDIAMTX: Key<Config> = Key {
    path: "aliases.mediamtx",
    about: "Whether MediaMTX' URLs work too: `/NAME/whip` and `/NAME/whep`.",
    wants: "true or false",
    value: &Of { kind: Flag, of: |config| &mut config.aliases.mediamtx },
};

pub(super) const BROADCAST_BOX: Key<Config> = Key {
    path: "aliases.broadcast_box",
    about: "Whether Broadcast Box' URLs work too: `/api/whip` and `/api/whep`, with the bearer `NAME:KEY`.",
    wants: "true or false",
    value: &Of { kind: Flag, of: |config| &mut config.aliases.broadcast_box },
};

pub(super) const JANUS: Key<Config> = Key {
    path: "aliases.janus",
    about: "Whether the URLs of Simple WHIP and WHEP Server work too: `/whip/endpoint/NAME` and `/whep/endpoint/NAME`.",
    wants: "true or false",
    value: &Of { kind: Flag, of: |config| &mut config.aliases.janus },
};

pub(super) const LALMAX: Key<Config> = Key {
    path: "aliases.lalmax",
    about: "Whether lalmax' URLs work too: `/webrtc/whip?streamid=NAME` and `/webrtc/whep?streamid=NAME`.",
    wants: "true or false",
    value: &Of { kind: Flag, of: |config| &mut config.aliases.lalmax },
};

pub(super) const TALWTN_APPS: Key<Config> = Key {
    path: "talwtn.apps",
    about: "Who may sign tokens for TALWTN's URLs, `/pub/APP/STREAM` and `/sub/APP/STREAM`, which work if there is anybody.",
    wants: "a list of tables: `[[talwtn.apps]]` above each",
    value: &Of { kind: APPS, of: |config| &mut config.talwtn_apps },
};

const APPS: Tables<TalwtnApp> = Tables {
    keys: APP_KEYS,
    new: |_| TalwtnApp { id: String::new(), keys: Vec::new() },
    short: None,
    required: &["id", "keys"],
    unique: "id",
    flaw: |_| None,
};

type OfApp<K> = At<TalwtnApp, K>;

static APP_KEYS: &[Key<TalwtnApp>] = &[
    Key {
        path: "id",
        about: "The `appID` of its URLs and tokens.",
        wants: "1 to 64 letters, digits, `.`, `_`, `~` or `-`",
        value: &OfApp {
            kind: Text {
                read: |text| is_stream_name(text).then(|| text.to_owned()),
                write: String::clone,
                pattern: "[A-Za-z0-9._~-]{1,64}",
            },
            of: |app| &mut app.id,
        },
    },
    Key {
        path: "keys",
        about: "What its tokens are signed with, by HS256. Several, while one is exchanged for the next.",
        wants: "a list of texts that are not empty",
        value: &OfApp {
            kind: List(Hidden(|text| (!text.is_empty()).then(|| text.to_owned()), "[\\s\\S]+")),
            of: |app| &mut app.keys,
        },
    },
];
