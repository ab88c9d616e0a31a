//! The policy, twice: as the server's default in `[streams]`, and in the `policy` of an endpoint, which inherits what
//! it does not set.

use super::super::Config;
use super::super::kinds::{Flag, List, Maybe, OneOf, Text, Whole};
use super::super::table::{At, Key};
use wtn_media::Codec;
use wtn_wish::{Endpoint, NoPublisher, SecondPublisher};

/// A grace time of more than an hour is a typing error.
const GRACE_SECONDS_MAX: u32 = 3600;
/// More viewers than any server holds; a typing error above.
const VIEWERS_MAX: u32 = 1_000_000;
/// From a voice in mono to more than a network card carries.
const KBPS: Whole<u32> = Whole { min: 8, max: 100_000_000 };
const GRACE: Whole<u32> = Whole { min: 0, max: GRACE_SECONDS_MAX };
const VIEWERS: Whole<u32> = Whole { min: 1, max: VIEWERS_MAX };
/// An input that must be steady for over an hour before it is shown is a typing error.
const HOLD_DOWN: Whole<u32> = Whole { min: 0, max: 3600 };
const SECOND: OneOf<SecondPublisher> = OneOf(&[
    ("replace", SecondPublisher::Replace),
    ("reject", SecondPublisher::Reject),
    ("backup", SecondPublisher::Backup),
]);
const NOBODY: OneOf<NoPublisher> = OneOf(&[("refuse", NoPublisher::Refuse), ("wait", NoPublisher::Wait)]);

const CODEC: Text<Codec> =
    Text { read: codec, write: |codec| codec.name().to_owned(), pattern: CODEC_PATTERN };
const CODEC_NAME: Text<String> = Text {
    read: |text| codec(text).map(|codec| codec.name().to_owned()),
    write: String::clone,
    pattern: CODEC_PATTERN,
};
/// In any case, as `codec` takes them.
const CODEC_PATTERN: &str = "[hH]26[45]|[vV][pP][89]|[aA][vV]1|[oO][pP][uU][sS]|[pP][cC][mM][uUaA]|[gG]722";

fn codec(text: &str) -> Option<Codec> {
    Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(text))
}

const BOOL: &str = "true or false";

/// The two rows of one rule: `$server` in `[streams]`, the second for endpoints.
macro_rules! rule {
    ($server:ident, $endpoint:ident, $field:ident, $kind:expr, $overriding:expr, $about:expr, $wants:expr) => {
        pub(super) const $server: Key<Config> = Key {
            path: concat!("streams.", stringify!($field)),
            about: $about,
            wants: $wants,
            value: &At { kind: $kind, of: |config: &mut Config| &mut config.policy.$field },
        };
        pub(super) const $endpoint: Key<Endpoint> = Key {
            path: concat!("policy.", stringify!($field)),
            about: $about,
            wants: $wants,
            value: &At {
                kind: Maybe($overriding),
                of: |endpoint: &mut Endpoint| &mut endpoint.policy.$field,
            },
        };
    };
    ($server:ident, $endpoint:ident, $field:ident, $kind:expr, $about:expr, $wants:expr) => {
        rule!($server, $endpoint, $field, $kind, $kind, $about, $wants);
    };
}

rule!(
    SECOND_PUBLISHER,
    ENDPOINT_SECOND_PUBLISHER,
    second_publisher,
    SECOND,
    "What a publisher finds whose stream has one already.",
    "\"replace\" (the newcomer wins), \"reject\" (it gets 409) or \"backup\" (it stands by)"
);
rule!(
    HOLD_DOWN_SECONDS,
    ENDPOINT_HOLD_DOWN_SECONDS,
    hold_down_seconds,
    HOLD_DOWN,
    "How long a better input must have been sending, without a pause, before viewers get it again.",
    "seconds, 0 to 3600"
);
rule!(
    NO_PUBLISHER,
    ENDPOINT_NO_PUBLISHER,
    no_publisher,
    NOBODY,
    "What a viewer finds while nobody publishes.",
    "\"refuse\" (409 with Retry-After) or \"wait\" (the picture comes with the publisher)"
);
rule!(
    GRACE_SECONDS,
    ENDPOINT_GRACE_SECONDS,
    grace_seconds,
    GRACE,
    "How long viewers are kept when their publisher goes.",
    "seconds, 0 to 3600"
);
rule!(
    CODECS,
    ENDPOINT_CODECS,
    codecs,
    Maybe(List(CODEC)),
    List(CODEC_NAME),
    "The codecs that a publisher may bring; all that are forwarded if unset.",
    "a list of codecs, such as [\"H264\", \"opus\"]; there are H264, H265, VP8, VP9, AV1, opus, PCMU, PCMA, G722"
);
rule!(
    MAX_VIEWERS,
    ENDPOINT_MAX_VIEWERS,
    max_viewers,
    Maybe(VIEWERS),
    VIEWERS,
    "Viewers of one stream at once; as many as the server takes if unset.",
    "a number of viewers, 1 to 1000000"
);
rule!(
    MAX_BITRATE_KBPS,
    ENDPOINT_MAX_BITRATE_KBPS,
    max_bitrate_kbps,
    Maybe(KBPS),
    KBPS,
    "What a publisher is told to send at most, all its tracks together.",
    "kbit/s, 8 to 100000000"
);
rule!(
    COUNTER_OFFER,
    ENDPOINT_COUNTER_OFFER,
    counter_offer,
    Flag,
    "Whether a viewer whose offer cannot be answered gets 406 with the server's own offer, rather than 422.",
    BOOL
);
rule!(
    TRICKLE_WITHOUT_TAG,
    ENDPOINT_TRICKLE_WITHOUT_TAG,
    trickle_without_tag,
    Flag,
    "Whether a trickle PATCH without If-Match is taken, rather than refused with 428.",
    BOOL
);
rule!(
    SESSION_URL_IS_CAPABILITY,
    ENDPOINT_SESSION_URL_IS_CAPABILITY,
    session_url_is_capability,
    Flag,
    "Whether the session's URL alone allows PATCH and DELETE, for clients that forget their key there.",
    BOOL
);
rule!(
    END_ON_REVOKE,
    ENDPOINT_END_ON_REVOKE,
    end_on_revoke,
    Flag,
    "Whether running sessions end when the key that opened them is taken away or expires.",
    BOOL
);
