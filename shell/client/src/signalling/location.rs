//! Where a `Location` leads, and who may see the key.

use reqwest::Url;

/// Resolves against the URL that answered (RFC 3986 §5). `None` for what is no HTTP URL.
pub(super) fn resolve(answered_by: &Url, location: &str) -> Option<Url> {
    let url = answered_by.join(location.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(url)
}

/// A redirect carries the key along only to the same host, on whichever port, and never from TLS into the
/// open. Elsewhere the target has to be complete in itself, as wtn's own redirects are.
pub(super) fn may_send_key(from: &Url, to: &Url) -> bool {
    from.host() == to.host() && !is_downgrade(from, to)
}

/// Leads from TLS into the open.
pub(super) fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme() == "https" && to.scheme() != "https"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn cli_04_location_is_resolved_against_the_url_that_answered() {
        let base = url("http://node2:8080/whip/room/a?x=1");
        for (location, expected) in [
            ("/session/1", Some("http://node2:8080/session/1")),
            ("../s/1", Some("http://node2:8080/whip/s/1")),
            ("1", Some("http://node2:8080/whip/room/1")),
            ("?s=1", Some("http://node2:8080/whip/room/a?s=1")),
            ("//host/x", Some("http://host/x")),
            ("https://host:1/x?y", Some("https://host:1/x?y")),
            (" /session/1 ", Some("http://node2:8080/session/1")),
            ("http://[::1]:9/x", Some("http://[::1]:9/x")),
            ("mailto:x", None),
            ("http://", None),
            ("http://h:99999/", None),
        ] {
            assert_eq!(resolve(&base, location).map(String::from).as_deref(), expected, "{location}");
        }
    }

    #[test]
    fn cli_05_the_key_goes_along_to_the_same_host_only_and_never_out_of_tls() {
        for (from, to, may) in [
            ("http://a/whip/x", "http://a:8081/whip/x", true),
            ("http://a/whip/x", "https://a/whip/x", true),
            ("https://a/whip/x", "https://A/whip/y", true),
            ("https://a/whip/x", "http://a/whip/x", false),
            ("https://a/whip/x", "https://b/whip/x", false),
            ("https://a/whip/x", "https://a.b/whip/x", false),
        ] {
            assert_eq!(may_send_key(&url(from), &url(to)), may, "{from} -> {to}");
        }
    }
}
