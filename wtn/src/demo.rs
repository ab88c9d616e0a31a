//! `wtn demo`: the server without any configuration, and a test picture that reaches it by real WHIP.

use crate::banner::Banner;
use crate::cli::DemoArgs;
use crate::exit::{self, FAILED, Failure};
use crate::signals::Signals;
use crate::{log, serve};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wtn::config::{Config, LogFormat};
use wtn::{Running, Server};
use wtn_client::{ClientError, Length, PublishOptions, PublishReport};
use wtn_media::Codec;

/// Not `live`, which the banner leaves to OBS.
const STREAM: &str = "test";

pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    log::start(LogFormat::Text, log::SERVER);
    let mut config = Config { http_listen: args.http, media_listen: args.media, ..Config::default() };
    let kept = serve::keep_key(&mut config);
    serve::runtime()?.block_on(async {
        let signals = Signals::catch().map_err(|error| Failure::new(FAILED, error))?;
        let running = Server::with(config.clone()).start().await?;
        let stop = CancellationToken::new();
        let key = kept.as_ref().map(|kept| kept.key.reveal().to_owned());
        let mut picture = put_on_air(&running, key, stop.clone());

        let note = kept.as_ref().map(serve::note).unwrap_or_default();
        let addresses = wtn_net::host_addresses();
        let mut banner = Banner::new(&running, &addresses, serve::access(&config, kept.as_ref(), &note));
        banner.on_air = Some(STREAM);
        exit::print(banner);

        let mut stopped = std::pin::pin!(signals.stop());
        let ended = tokio::select! {
            () = &mut stopped => None,
            ended = &mut picture => Some(ended),
        };
        match ended {
            None => {
                stop.cancel();
                let _ = picture.await;
            }
            Some(Ok(Err(error))) => {
                running.shutdown().await;
                return Err(Failure::new(FAILED, format!("the test picture is not on air: {error}")));
            }
            Some(_) => {
                tracing::warn!("the test picture is off air; the server goes on");
                stopped.await;
            }
        }
        running.shutdown().await;
        Ok(())
    })
}

type Picture = JoinHandle<Result<PublishReport, ClientError>>;

fn put_on_air(running: &Running, key: Option<String>, stop: CancellationToken) -> Picture {
    let http = SocketAddr::new(loopback(running.http_addr().ip()), running.http_addr().port());
    let options = PublishOptions {
        url: format!("http://{http}/whip/{STREAM}"),
        key,
        ca: None,
        codec: Codec::H264,
        length: Length::Forever,
        wait: wtn_client::WAIT,
    };
    tokio::spawn(wtn_client::publish_test(options, stop))
}

/// The address by which a program on this host reaches a listener on `ip`.
fn loopback(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip == Ipv6Addr::UNSPECIFIED => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    }
}
