//! What a person sees at start: where to publish, where to watch, what to try next.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use wtn::Running;
use wtn_net::Capability;

/// All that the banner tells. `Display` writes it.
#[derive(Debug)]
pub struct Banner<'a> {
    pub http: SocketAddr,
    /// Whether there is a certificate.
    pub secure: bool,
    /// The base of URLs as the operator has it.
    pub public_url: Option<&'a str>,
    pub media: SocketAddr,
    /// Whether media may come by TCP too.
    pub media_tcp: bool,
    /// Addresses of this host, the likeliest first.
    pub addresses: &'a [IpAddr],
    pub shards: usize,
    pub capability: Capability,
    pub config: Option<&'a Path>,
    pub access: Access<'a>,
    /// The stream that is on air already.
    pub on_air: Option<&'a str>,
}

/// Who may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// Anybody.
    Open,
    /// Who has this key; the note says where it is kept, or that it is not.
    Key(&'a str, &'a str),
    /// Who has one of the keys of the configuration.
    Configured,
}

impl<'a> Banner<'a> {
    pub fn new(running: &Running, addresses: &'a [IpAddr], access: Access<'a>) -> Self {
        Self {
            http: running.http_addr(),
            secure: running.has_certificate(),
            public_url: None,
            media: running.media_addr(),
            media_tcp: running.has_media_tcp(),
            addresses,
            shards: running.shards(),
            capability: Capability::probe(),
            config: None,
            access,
            on_air: None,
        }
    }

    /// The base of URLs for this host, and for others in its network if they reach it.
    fn bases(&self) -> (String, Option<String>) {
        let port = self.http.port();
        let scheme = if self.secure { "https" } else { "http" };
        let base = |ip: IpAddr| format!("{scheme}://{}", SocketAddr::new(ip, port));
        if let Some(url) = self.public_url {
            return (url.to_owned(), None);
        }
        let ip = self.http.ip();
        if ip.is_loopback() {
            return (base(ip), None);
        }
        if !ip.is_unspecified() {
            return (base(ip), Some(base(ip)));
        }
        let reachable = |ip: &&IpAddr| !ip.is_loopback() && (ip.is_ipv4() || self.http.is_ipv6());
        (format!("{scheme}://localhost:{port}"), self.addresses.iter().find(reachable).map(|ip| base(*ip)))
    }
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (here, network) = self.bases();
        let anywhere = network.as_ref().unwrap_or(&here);
        let stream = self.on_air.unwrap_or("live");
        let config = self.config.map_or("none (defaults)".to_owned(), |path| path.display().to_string());
        writeln!(f, "\nwtn {}, WebRTC broadcast server (config: {config})\n", env!("CARGO_PKG_VERSION"))?;

        writeln!(f, "  Watch    {here}/watch/{stream}")?;
        if let Some(network) = network.as_ref().filter(|network| **network != here) {
            writeln!(f, "           {network}/watch/{stream}   from other devices")?;
        }
        writeln!(f, "\n  Publish  in OBS: Settings → Stream")?;
        writeln!(f, "             Service       WHIP")?;
        writeln!(f, "             Server        {anywhere}/whip/live")?;
        let (token, flag) = match self.access {
            Access::Open => {
                ("(leave it empty: the server is open, anybody may publish)".to_owned(), String::new())
            }
            Access::Key(key, note) => (format!("{key}   {note}"), format!(" --key {key}")),
            Access::Configured => ("one of your auth.publish_keys".to_owned(), " --key KEY".to_owned()),
        };
        writeln!(f, "             Bearer Token  {token}")?;
        if self.on_air.is_some() {
            writeln!(f, "           it is on air at {anywhere}/watch/live")?;
        }
        writeln!(f, "\n  Home     {here}/   what is live, and how to publish with other tools")?;
        let transports = if self.media_tcp { "UDP and TCP" } else { "UDP" };
        writeln!(f, "  Media    {transports} port {}{}", self.media.port(), self.media_notes())?;
        match self.on_air {
            Some(stream) => {
                writeln!(f, "\n  A test picture is on air as `{stream}`. Ctrl-C ends everything.\n")
            }
            None => {
                writeln!(f, "\n  No stream yet. A test picture, from another terminal:")?;
                writeln!(f, "    wtn publish test --loop --to {here}/whip/live{flag}")?;
                writeln!(f, "  Ctrl-C stops the server.\n")
            }
        }
    }
}

impl Banner<'_> {
    fn media_notes(&self) -> String {
        let mut notes = String::new();
        if !self.media.ip().is_unspecified() {
            let _ = write!(notes, " on {}", self.media.ip());
        }
        let threads = if self.shards == 1 { "thread" } else { "threads" };
        let _ = write!(notes, ", {} {threads}", self.shards);
        if !self.capability.gso {
            notes += "; this kernel has no UDP segmentation (GSO): sending costs several times as much";
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPABILITY: Capability = Capability { gso: true, gro: true, reuse_port: true };

    fn banner(http: &str, access: Access<'static>, on_air: Option<&'static str>) -> String {
        let addresses = ["192.168.1.20".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let http = http.parse().unwrap();
        let media = "[::]:8189".parse().unwrap();
        let (shards, config) = (2, None);
        let (secure, public_url, capability) = (false, None, CAPABILITY);
        Banner {
            http,
            secure,
            public_url,
            media,
            media_tcp: true,
            addresses: &addresses,
            shards,
            capability,
            config,
            access,
            on_air,
        }
        .to_string()
    }

    #[test]
    fn a_first_start_shows_every_field_that_obs_wants() {
        let text = banner("[::]:8080", Access::Key("k7m2p-qp4xa", "kept in /data/publish.key"), None);
        let expected = format!(
            "
wtn {}, WebRTC broadcast server (config: none (defaults))

  Watch    http://localhost:8080/watch/live
           http://192.168.1.20:8080/watch/live   from other devices

  Publish  in OBS: Settings → Stream
             Service       WHIP
             Server        http://192.168.1.20:8080/whip/live
             Bearer Token  k7m2p-qp4xa   kept in /data/publish.key

  Home     http://localhost:8080/   what is live, and how to publish with other tools
  Media    UDP and TCP port 8189, 2 threads

  No stream yet. A test picture, from another terminal:
    wtn publish test --loop --to http://localhost:8080/whip/live --key k7m2p-qp4xa
  Ctrl-C stops the server.

",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_server_on_loopback_promises_nothing_to_other_devices() {
        let text = banner("127.0.0.1:9000", Access::Open, None);
        assert!(text.contains("http://127.0.0.1:9000/watch/live\n"));
        assert!(!text.contains("other devices") && !text.contains("192.168"));
        assert!(text.contains("anybody may publish") && !text.contains("--key"));
    }

    #[test]
    fn the_demo_points_at_its_picture_and_leaves_live_to_obs() {
        let text = banner("[::]:8080", Access::Key("k", ""), Some("test"));
        assert!(text.contains("http://localhost:8080/watch/test\n"));
        assert!(text.contains("/whip/live\n"));
        assert!(text.contains("on air as `test`"));
    }
}
