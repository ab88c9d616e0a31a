//! The server as a value: built, started, shut down. The program and embedders use the same.

use crate::config::{Config, SecondPublisher, Secret};
use crate::{Budgets, StartError, access, load};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;
use wtn_engine::{EngineConfig, Event, Wake};
use wtn_http::{Limits, Network, Security, Signalling};
use wtn_net::{
    BindError, EgressOptions, Ends, MediaSocket, MediaSockets, NetCounter, NetCounters, TcpLimits, TcpPort,
    TcpWorker, Worker,
};
use wtn_session::Identity;
use wtn_store::{OpenError, OpenFault, Store, StoredEndpoint};
use wtn_wish::{DeskConfig, Key, SharedSecret};

/// Sessions say goodbye within this time, or are gone without.
const DRAIN_WITHIN: Duration = Duration::from_millis(1500);
/// A shard's thread ends its pass within microseconds; one that does not is left behind.
const STOP_WITHIN: Duration = Duration::from_millis(100);
/// Events of all shards that signalling has not taken yet: some seconds of a crowd that joins. Shards keep
/// what does not fit and offer it again.
const EVENTS: usize = 8192;

/// A WHIP and WHEP server.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// A server with every default: HTTP on port 8080, media on UDP port 8189, one shard per core, no keys.
    pub fn builder() -> Builder {
        Self::with(Config::default())
    }

    /// A server by `config`.
    pub fn with(config: Config) -> Builder {
        Builder { config, limits: Limits::default() }
    }
}

/// What the server will be told.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before start()"]
pub struct Builder {
    config: Config,
    limits: Limits,
}

impl Builder {
    /// Where HTTP is served; port 0 takes any. `[::]` also takes IPv4.
    pub fn http(mut self, addr: SocketAddr) -> Self {
        self.config.http_listen = addr;
        self
    }

    /// The address of all media, UDP and TCP; port 0 takes any. `[::]` also takes IPv4.
    pub fn media(mut self, addr: SocketAddr) -> Self {
        self.config.media_listen = addr;
        self
    }

    /// Whether media may come by TCP too; it may by default.
    pub fn media_tcp(mut self, tcp: bool) -> Self {
        self.config.media_tcp = tcp;
        self
    }

    /// An address outside of this machine that leads to the media port.
    pub fn public_address(mut self, ip: IpAddr) -> Self {
        self.config.public_addresses.push(ip);
        self
    }

    /// The PEM files of a certificate and of its private key, for https.
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.config.tls_certificate = Some(certificate.into());
        self.config.tls_key = Some(key.into());
        self
    }

    /// Media threads; one per core if unset.
    pub fn shards(mut self, shards: u16) -> Self {
        self.config.shards = Some(shards);
        self
    }

    /// Anybody may publish, whatever keys there are.
    pub fn open(mut self) -> Self {
        self.config.open = true;
        self
    }

    /// A bearer token that may publish.
    pub fn publish_key(mut self, key: Secret) -> Self {
        self.config.publish_keys.push(key);
        self
    }

    /// A bearer token that may watch. Without any, everybody may.
    pub fn play_key(mut self, key: Secret) -> Self {
        self.config.play_keys.push(key);
        self
    }

    /// What a publisher finds when its stream already has one.
    pub fn second_publisher(mut self, policy: SecondPublisher) -> Self {
        self.config.policy.second_publisher = policy;
        self
    }

    /// How long viewers are kept when their publisher goes; whole seconds count.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.policy.grace_seconds = grace.as_secs().try_into().unwrap_or(u32::MAX);
        self
    }

    /// Where endpoints are kept that are made at run time. Without it none can be made.
    pub fn data_dir(mut self, folder: PathBuf) -> Self {
        self.config.data_dir = Some(folder);
        self
    }

    /// Bounds of the HTTP server.
    pub fn http_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Opens the ports and starts to serve. Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// A port that cannot be opened, no way for anybody to publish, or a store that is there and cannot be used.
    pub async fn start(self) -> Result<Running, StartError> {
        let Self { config, limits } = self;
        if !config.has_way_in() {
            return Err(StartError::NoKeys);
        }
        let outside = access::outside(&config)?;
        let limits = access::connections(limits, &config);
        let certificate = config.certificate().map_err(StartError::Certificate)?;
        let security = Security::new(certificate, config.cleartext());
        let listener = bind_http(config.http_listen).await?;
        let http_addr = listener.local_addr().map_err(StartError::system)?;
        let (sockets, tcp) = open_media(&config).map_err(StartError::Media)?;
        let media_addr = sockets.first().map_or(config.media_listen, MediaSocket::local_addr);
        // The disk may take its time; meanwhile there is other work.
        let store = config.data_dir.clone().map(|folder| spawn_blocking(move || Store::open(&folder)));
        let media_tcp = tcp.is_some();
        let identity = Arc::new(Identity::generate().map_err(StartError::system)?);
        let desk = desk_config(&config, media_addr, media_tcp, &identity)?;

        let (events, inbox) = mpsc::channel(EVENTS);
        let (control, threads) = start_engine(sockets, tcp, &identity, &events)?;
        let workers = Workers(Arc::new(Mutex::new(threads)));
        let signalling = Signalling::new(desk, control, Box::new(workers.clone()), limits);
        signalling.set_config_endpoints(config.endpoints.clone());
        if let Some(store) = store {
            keep(&signalling, store.await.map_err(StartError::system)?)?;
        }
        signalling.set_outside(outside);
        signalling.set_rates(access::rates(&config));
        tokio::spawn(Signalling::keep_keys(Arc::downgrade(&signalling)));
        tokio::spawn(Arc::clone(&signalling).follow(inbox));
        let budgets = Arc::new(Mutex::new(config.budgets));
        tokio::spawn(load::watch(Arc::downgrade(&signalling), workers.clone(), Arc::clone(&budgets)));
        let stop = CancellationToken::new();
        let router = wtn_http::router(&signalling);
        let http =
            tokio::spawn(wtn_http::serve(listener, router, limits, Arc::clone(&security), stop.clone()));
        let config = Mutex::new(config);
        Ok(Running {
            http_addr,
            media_addr,
            media_tcp,
            config,
            identity,
            security,
            signalling,
            budgets,
            workers,
            stop,
            http,
        })
    }
}

type Opened = Result<(Store, Vec<StoredEndpoint>), OpenError>;

/// Endpoints made at run time come from the store and go there. Where it is there and cannot be used, nothing
/// starts: without it, endpoints that have keys in it would open.
fn keep(signalling: &Signalling, store: Opened) -> Result<(), StartError> {
    match store {
        Ok((store, endpoints)) => signalling.keep_in(store, endpoints),
        Err(error) if matches!(error.fault, OpenFault::Folder(_)) => {
            tracing::warn!("no endpoints can be made at run time: {error}");
            signalling.keep_nothing(error);
        }
        Err(error) => return Err(StartError::Store(error)),
    }
    Ok(())
}

fn shards(config: &Config) -> u16 {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get() as u16);
    config.shards.unwrap_or_else(cores)
}

/// Port numbers tried for one that is free for UDP and for TCP.
const PORTS_TRIED: usize = 16;

/// The media port, by TCP too where that is wanted and can be had. That it cannot is no reason not to start: it is
/// for the few.
fn open_media(config: &Config) -> Result<(Vec<MediaSocket>, Option<TcpPort>), BindError> {
    let mut tried = 1;
    loop {
        let sockets = MediaSockets::bind(config.media_listen, shards(config))?;
        let addr = sockets.first().map_or(config.media_listen, MediaSocket::local_addr);
        if !config.media_tcp {
            return Ok((sockets, None));
        }
        match TcpPort::bind(addr) {
            Ok(tcp) => return Ok((sockets, Some(tcp))),
            Err(_) if config.media_listen.port() == 0 && tried < PORTS_TRIED => tried += 1,
            Err(error) => {
                tracing::warn!("clients whose network forbids UDP cannot connect: {error}");
                return Ok((sockets, None));
            }
        }
    }
}

/// Where the host has no IPv6, all addresses means all of IPv4.
async fn bind_http(addr: SocketAddr) -> Result<TcpListener, StartError> {
    match TcpListener::bind(addr).await {
        Err(error) if addr.ip().is_unspecified() && is_no_ipv6(&error) => {
            let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            TcpListener::bind(addr).await.map_err(|error| StartError::http(addr, error))
        }
        bound => bound.map_err(|error| StartError::http(addr, error)),
    }
}

fn is_no_ipv6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

pub(crate) fn desk_config(
    config: &Config,
    media_addr: SocketAddr,
    tcp: bool,
    identity: &Identity,
) -> Result<DeskConfig, StartError> {
    let keys = |secrets: &[Secret]| secrets.iter().map(|secret| Key::new(secret.reveal())).collect();
    let mut desk = DeskConfig::new(candidates(config, media_addr), media_addr.port(), identity.fingerprint());
    desk.tcp = tcp;
    if !config.open {
        desk.publish_keys = keys(&config.publish_keys);
    }
    desk.play_keys = keys(&config.play_keys);
    desk.auth = access::rules(config)?;
    desk.policy = config.policy.clone();
    desk.names = config.names;
    desk.ice_servers = config.ice_servers.clone();
    desk.public_url = config.public_url.clone();
    desk.trickle = config.trickle;
    desk.ice_restart = config.ice_restart;
    desk.redirects = config.redirects.clone();
    desk.routes = config.aliases;
    desk.talwtn = config.talwtn_apps.clone();
    desk.handoff_secret = config.handoff_secret.as_ref().map(|secret| SharedSecret::new(secret.reveal()));
    Ok(desk)
}

/// Public addresses first, then those of this host that the media socket listens on.
fn candidates(config: &Config, media_addr: SocketAddr) -> Vec<SocketAddr> {
    let listens = media_addr.ip();
    let own = if listens.is_unspecified() { wtn_net::host_addresses() } else { vec![listens] };
    let own = own.into_iter().filter(|ip| listens.is_ipv6() || ip.is_ipv4());
    let mut ips = config.public_addresses.clone();
    ips.extend(own);
    let mut candidates: Vec<SocketAddr> = Vec::new();
    for ip in ips {
        let addr = SocketAddr::new(ip, media_addr.port());
        if !candidates.contains(&addr) {
            candidates.push(addr);
        }
    }
    candidates
}

fn start_engine(
    sockets: Vec<MediaSocket>,
    tcp: Option<TcpPort>,
    identity: &Arc<Identity>,
    events: &mpsc::Sender<Event>,
) -> Result<(wtn_engine::Control, Threads), StartError> {
    let wakers = sockets.iter().map(|_| wtn_net::waker()).collect::<io::Result<Vec<_>>>();
    let wakers = wakers.map_err(StartError::system)?;
    let engine = EngineConfig { shards: sockets.len() as u16, seed: rand::random(), now: Instant::now() };
    let wakes = wakers.iter().map(|waker| Arc::clone(waker) as Arc<dyn Wake>).collect();
    let (shards, control) = wtn_engine::build(&engine, identity, wakes);
    let tcp = tcp.map(|port| port.serve(&wakers, TcpLimits::default())).transpose();
    let (tcp, tcp_ends) = tcp.map_err(StartError::system)?.unzip();
    let mut tcp_ends = tcp_ends.into_iter().flatten();
    let ends = shards.into_iter().zip(sockets).zip(wakers);
    let workers = ends.map(|((shard, socket), waker)| {
        let ends = Ends { socket, tcp: tcp_ends.next() };
        let events = events.clone();
        let deliver = move |event| {
            events.try_send(event).or_else(|refused| match refused {
                TrySendError::Full(event) => Err(event),
                // Nobody listens any more: the server is gone.
                TrySendError::Closed(_) => Ok(()),
            })
        };
        let options = EgressOptions::default();
        wtn_net::spawn_with(shard, ends, waker, Box::new(deliver), options).map_err(StartError::system)
    });
    Ok((control, Threads { shards: workers.collect::<Result<_, _>>()?, tcp }))
}

/// The threads of media.
#[derive(Debug, Default)]
struct Threads {
    shards: Vec<Worker>,
    tcp: Option<TcpWorker>,
}

/// The threads of media, as long as they are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<Mutex<Threads>>);

impl Workers {
    fn with<T>(&self, look: impl FnOnce(&mut Threads) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counters of each shard's socket.
    pub(crate) fn each(&self) -> Vec<Arc<NetCounters>> {
        self.with(|threads| threads.shards.iter().map(Worker::counters).collect())
    }

    /// Ends all of them; they have said their goodbyes and do so within a pass.
    fn stop(&self) {
        let Threads { shards, tcp } = self.with(std::mem::take);
        for worker in shards {
            if let Err(error) = worker.stop(STOP_WITHIN) {
                tracing::error!("{error}");
            }
        }
        if tcp.is_some_and(|tcp| !tcp.stop(STOP_WITHIN)) {
            tracing::error!("ICE-TCP did not stop in time");
        }
    }
}

impl Network for Workers {
    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.each();
        counters.extend(self.with(|threads| threads.tcp.as_ref().map(TcpWorker::counters)));
        let sum = |counter| counters.iter().map(|socket| socket.value(counter)).sum();
        NetCounter::ALL.iter().map(|counter| (counter.code(), sum(*counter))).collect()
    }

    fn is_alive(&self) -> bool {
        self.with(|threads| threads.shards.iter().all(Worker::is_alive))
    }
}

/// A server at work. Dropping it stops it at once, without goodbyes.
#[derive(Debug)]
pub struct Running {
    http_addr: SocketAddr,
    media_addr: SocketAddr,
    media_tcp: bool,
    /// What is in effect.
    pub(crate) config: Mutex<Config>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) security: Arc<Security>,
    pub(crate) signalling: Arc<Signalling>,
    pub(crate) budgets: Arc<Mutex<Budgets>>,
    workers: Workers,
    stop: CancellationToken,
    http: JoinHandle<()>,
}

impl Running {
    /// Where HTTP is served, with the port that was taken for port 0.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Whether HTTP has a certificate.
    pub fn has_certificate(&self) -> bool {
        self.security.has_certificate()
    }

    /// Where media arrives, with the port that was taken for port 0.
    pub fn media_addr(&self) -> SocketAddr {
        self.media_addr
    }

    /// Whether media may come by TCP too, at the same address and port.
    pub fn has_media_tcp(&self) -> bool {
        self.media_tcp
    }

    /// Number of media threads.
    pub fn shards(&self) -> usize {
        self.workers.with(|threads| threads.shards.len())
    }

    /// Takes no new sessions, says goodbye to those it has, stops. Less than two seconds, whatever clients
    /// do.
    pub async fn shutdown(mut self) {
        if !self.signalling.drain(DRAIN_WITHIN).await {
            tracing::warn!("not every session could be told goodbye in time");
        }
        self.stop.cancel();
        let _ = (&mut self.http).await;
        self.signalling.keep_nothing("the server stops");
        let workers = self.workers.clone();
        let _ = tokio::task::spawn_blocking(move || workers.stop()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.signalling.keep_nothing("the server stops");
        drop(self.workers.with(std::mem::take));
    }
}
