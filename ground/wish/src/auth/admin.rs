//! Who may administer the server: list, make and destroy endpoints, read what was rejected.

use super::{Key, find};
use crate::{DeskConfig, Problem};
use std::net::IpAddr;

/// What a request to the administration shows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdminRequest<'a> {
    /// The other end of the connection.
    pub client: Option<IpAddr>,
    /// Whether a proxy speaks for somebody else: any of `Forwarded`, `X-Forwarded-For`, `X-Real-IP` or `Via`.
    pub is_forwarded: bool,
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Origin`: a page asks.
    pub origin: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
}

impl DeskConfig {
    /// Whether that request may administer: with an admin key from anywhere; without one only a program on
    /// this machine, unless the operator wants a key from those too.
    ///
    /// A program on this machine means: from a loopback address, not by way of a proxy (which may speak for
    /// the whole world), by a loopback name (or a page elsewhere could have its own name point here), and not
    /// for a page of another origin.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn may_administer(&self, request: &AdminRequest<'_>) -> Result<(), Problem> {
        let keys: &[Key] = &self.auth.admin_keys;
        if let Some(token) = request.authorization.and_then(super::bearer) {
            return match find(keys, &Key::new(token)) {
                true => Ok(()),
                false if self.auth.local_admin && request.is_local() && keys.is_empty() => Ok(()),
                false => Err(Problem::not_an_admin_key()),
            };
        }
        if self.auth.local_admin && request.is_local() {
            return Ok(());
        }
        Err(if keys.is_empty() { Problem::admin_local_only() } else { Problem::admin_key_needed() })
    }
}

impl AdminRequest<'_> {
    fn is_local(&self) -> bool {
        let is_loopback = self.client.is_some_and(|client| client.to_canonical().is_loopback());
        let from_here = self.origin.is_none_or(|origin| {
            origin.split_once("://").is_some_and(|(_, authority)| is_loopback_name(authority))
        });
        is_loopback && !self.is_forwarded && self.host.is_some_and(is_loopback_name) && from_here
    }
}

/// Whether `authority`, with or without a port, names this machine to itself.
fn is_loopback_name(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || literal.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wtn_media::{Fingerprint, HashAlgorithm};

    fn config(admin_keys: &[&str]) -> DeskConfig {
        let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, digest: vec![0; 32] };
        let mut config = DeskConfig::new(Vec::new(), 0, fingerprint);
        config.auth.admin_keys = admin_keys.iter().map(Key::new).collect();
        config
    }

    fn local() -> AdminRequest<'static> {
        AdminRequest {
            client: Some("127.0.0.1".parse().unwrap()),
            host: Some("localhost:8080"),
            ..AdminRequest::default()
        }
    }

    fn status(config: &DeskConfig, request: &AdminRequest<'_>) -> u16 {
        config.may_administer(request).map_or_else(|problem| problem.status, |()| 200)
    }

    #[test]
    fn a_program_on_this_machine_needs_no_admin_key() {
        for host in ["localhost", "LocalHost:80", "127.0.0.1:8080", "[::1]:8080", "127.1.2.3"] {
            assert_eq!(status(&config(&[]), &AdminRequest { host: Some(host), ..local() }), 200, "{host}");
        }
        let page = AdminRequest { origin: Some("http://localhost:8080"), ..local() };
        assert_eq!(status(&config(&[]), &page), 200);
        assert_eq!(status(&config(&["secret"]), &local()), 200);
        let v6 = AdminRequest { client: Some("::ffff:127.0.0.1".parse().unwrap()), ..local() };
        assert_eq!(status(&config(&[]), &v6), 200);
    }

    #[test]
    fn the_rest_of_the_world_and_what_speaks_for_it_needs_one() {
        let others = [
            AdminRequest { client: Some("192.0.2.1".parse().unwrap()), ..local() },
            AdminRequest { client: None, ..local() },
            AdminRequest { is_forwarded: true, ..local() },
            AdminRequest { host: Some("rebound.example:8080"), ..local() },
            AdminRequest { host: Some("127.0.0.1.example"), ..local() },
            AdminRequest { host: None, ..local() },
            AdminRequest { origin: Some("https://elsewhere.example"), ..local() },
            AdminRequest { origin: Some("null"), ..local() },
        ];
        for other in others {
            assert_eq!(status(&config(&[]), &other), 403, "{other:?}");
            assert_eq!(status(&config(&["secret"]), &other), 401, "{other:?}");
            let keyed = AdminRequest { authorization: Some("Bearer secret"), ..other };
            assert_eq!(status(&config(&["secret"]), &keyed), 200, "{other:?}");
            assert_eq!(status(&config(&["other"]), &keyed), 401, "{other:?}");
            assert_eq!(status(&config(&[]), &keyed), 401, "{other:?}");
        }
    }

    #[test]
    fn the_operator_may_want_a_key_from_local_programs_too() {
        let mut config = config(&["secret"]);
        config.auth.local_admin = false;
        assert_eq!(status(&config, &local()), 401);
        assert_eq!(status(&config, &AdminRequest { authorization: Some("bearer secret"), ..local() }), 200);
    }

    #[test]
    fn a_wrong_key_is_wrong_on_this_machine_too() {
        let wrong = AdminRequest { authorization: Some("Bearer wrong"), ..local() };
        assert_eq!(status(&config(&["secret"]), &wrong), 401);
        assert_eq!(status(&config(&[]), &wrong), 200, "there is nothing it could be compared with");
    }
}
