//! By which of our addresses the client reached us: the best candidate for media there is, and the base of URLs
//! that have to be absolute.

use http::uri::Authority;
use http::{HeaderMap, Uri, Version, header};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The host of the client's URL if that is an IP address, else the address at our end of its connection.
///
/// The host wins because of container networks and 1:1 NAT, where our end has an address that the client
/// cannot reach. A client that lies here misleads only itself.
pub(crate) fn reached_by(uri: &Uri, headers: &HeaderMap, local: SocketAddr) -> IpAddr {
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    uri.authority().map(|authority| authority.as_str()).or(header).and_then(host_ip).unwrap_or(local.ip())
}

/// Scheme and authority of the client's URL.
///
/// TALWTN's SDK speaks HTTP/1.0 and leaves the port out of `Host`; then it is the one that it came to. But a
/// proxy may also be such a client, and has another port towards its own clients.
pub(crate) fn base_url(
    uri: &Uri,
    headers: &HeaderMap,
    version: Version,
    port: Option<u16>,
    secure: bool,
) -> Option<String> {
    let header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority: Authority =
        uri.authority().map(|authority| authority.as_str()).or(header)?.parse().ok()?;
    let (scheme, usual) = if secure { ("https", 443) } else { ("http", 80) };
    let scheme = uri.scheme_str().unwrap_or(scheme);
    let is_plain = !authority.host().is_empty() && !authority.as_str().contains('@');
    let is_forwarded =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    let left_out = version == Version::HTTP_10 && authority.port().is_none() && !is_forwarded;
    let port = port.filter(|port| left_out && *port != usual).map(|port| format!(":{port}"));
    is_plain.then(|| format!("{scheme}://{authority}{}", port.unwrap_or_default()))
}

fn host_ip(authority: &str) -> Option<IpAddr> {
    let authority: Authority = authority.parse().ok()?;
    let host = authority.host();
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ip = literal.parse::<IpAddr>().ok()?.to_canonical();
    let usable = !ip.is_unspecified() && !ip.is_multicast() && ip != Ipv4Addr::BROADCAST;
    usable.then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uri: &str, host: Option<&str>, expected: &str) {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, host.parse().expect("a header value"));
        }
        let local = SocketAddr::from(([10, 0, 0, 2], 8080));
        let ip = reached_by(&uri.parse().expect("a URI"), &headers, local);
        assert_eq!(ip.to_string(), expected, "{uri} {host:?}");
    }

    #[test]
    fn an_ip_literal_in_the_url_wins() {
        check("/whip/live", Some("192.168.1.20:8080"), "192.168.1.20");
        check("/whip/live", Some("192.168.1.20"), "192.168.1.20");
        check("/whip/live", Some("[2001:db8::7]:8080"), "2001:db8::7");
        check("/whip/live", Some("[::ffff:192.0.2.1]:8080"), "192.0.2.1");
        check("http://192.0.2.9:80/whip/live", Some("192.0.2.1"), "192.0.2.9");
        check("/whip/live", Some("LOCALHOST:8080"), "127.0.0.1");
    }

    #[test]
    fn the_base_of_absolute_urls_is_what_the_client_wrote() {
        let base = |host: Option<&'static str>| {
            let pairs = host.map(|host| (header::HOST, http::HeaderValue::from_static(host)));
            let headers = pairs.into_iter().collect();
            base_url(&Uri::from_static("/whip/live"), &headers, Version::HTTP_11, Some(8080), false)
        };
        assert_eq!(base(Some("live.example.com:8080")).as_deref(), Some("http://live.example.com:8080"));
        assert_eq!(base(Some("[2001:db8::7]")).as_deref(), Some("http://[2001:db8::7]"));
        let host = [(header::HOST, http::HeaderValue::from_static("live.example.com"))];
        let (uri, headers) = (Uri::from_static("/pub/a/b"), host.into_iter().collect());
        for (port, expected) in [(443, "https://live.example.com"), (8443, "https://live.example.com:8443")] {
            let base = base_url(&uri, &headers, Version::HTTP_10, Some(port), true);
            assert_eq!(base.as_deref(), Some(expected), "by TLS");
        }
        for useless in [None, Some(""), Some("a b"), Some("user@host"), Some("a/b"), Some("a\tb")] {
            assert_eq!(base(useless), None, "{useless:?}");
        }
    }

    #[test]
    fn talwtn_the_port_that_its_sdk_leaves_out_of_host_is_ours() {
        let base = |version, more: &[(&'static str, &'static str)]| {
            let pairs = [("host", "live.example.com")].iter().chain(more);
            let pairs = pairs.map(|(name, value)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            });
            base_url(&Uri::from_static("/pub/a/b"), &pairs.collect(), version, Some(8080), false)
                .expect("a base")
        };
        assert_eq!(base(Version::HTTP_10, &[]), "http://live.example.com:8080");
        assert_eq!(base(Version::HTTP_11, &[]), "http://live.example.com");
        assert_eq!(base(Version::HTTP_10, &[("x-forwarded-for", "192.0.2.1")]), "http://live.example.com");
    }

    #[test]
    fn anything_else_means_our_end_of_the_connection() {
        for host in ["example.com", "", "0.0.0.0:8080", "224.0.0.1", "[ff02::1]", "a b", "1.2.3", "::1"] {
            check("/whip/live", Some(host), "10.0.0.2");
        }
        check("/whip/live", None, "10.0.0.2");
    }
}
