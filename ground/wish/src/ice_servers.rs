//! `Link` lines for ICE servers (RFC 9725 §4.6), in the one form that every client reads: OBS splits lines at commas,
//! mediamtx matches a fixed pattern.

use crate::{IceServer, Random, token};
use aws_lc_rs::hmac;
use std::fmt::Write as _;

/// How long credentials made of a secret are good, if the server's entry does not say: a long show, as a client may
/// ask its TURN server again at any time while it lasts.
const TTL_SECONDS: u32 = 86_400;

/// The values of the lines, one a server. Credentials made of a secret differ from session to session.
pub(crate) fn links(servers: &[IceServer], unix_now: u64, random: &mut dyn Random) -> Vec<String> {
    let usable = servers.iter().filter(|server| is_usable(server));
    usable.map(|server| link(server, unix_now, random)).collect()
}

fn link(server: &IceServer, unix_now: u64, random: &mut dyn Random) -> String {
    let mut link = format!("<{}>; rel=\"ice-server\"", server.url);
    if let Some((username, credential)) = credentials(server, unix_now, random) {
        let _ = write!(
            link,
            "; username=\"{username}\"; credential=\"{credential}\"; credential-type=\"password\""
        );
    }
    link
}

fn credentials(server: &IceServer, unix_now: u64, random: &mut dyn Random) -> Option<(String, String)> {
    if let Some(secret) = &server.secret {
        let expires = unix_now.saturating_add(server.ttl_seconds.unwrap_or(TTL_SECONDS).into());
        let username = format!("{expires}:{}", token::hex::<8>(random));
        let credential = signature(secret, &username);
        return Some((username, credential));
    }
    server.username.clone().zip(server.credential.clone())
}

/// What TURN servers with a shared secret compute of the user name ("A REST API For Access To TURN Services").
fn signature(secret: &str, username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    base64(hmac::sign(&key, username.as_bytes()).as_ref())
}

/// RFC 4648 §4: none of its characters is special in a `Link`.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0u32, |sum, at| sum << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let is_filling = digit > three.len();
            let index = (number >> (18 - 6 * digit)) as usize & 63;
            text.push(if is_filling { '=' } else { char::from(ALPHABET[index]) });
        }
    }
    text
}

/// Nothing in it can end the URL or a quoted string early, or begin another link (RFC 8288 §3). The configuration
/// refuses others; this is for whoever hands values in by other ways.
fn is_usable(server: &IceServer) -> bool {
    let is_plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b",;\"\\<>".contains(&byte));
    let scheme = server.url.split(':').next().unwrap_or_default();
    let mut texts = [Some(&server.url), server.username.as_ref(), server.credential.as_ref()].into_iter();
    ["stun", "stuns", "turn", "turns"].contains(&scheme)
        && texts.all(|text| text.is_none_or(|text| is_plain(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_13_base64_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded, "{plain}");
        }
    }

    #[test]
    fn auth_13_the_signature_is_hmac_sha1_in_base64() {
        // RFC 2202 §3, test case 2, in base64.
        assert_eq!(signature("Jefe", "what do ya want for nothing?"), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
    }
}
