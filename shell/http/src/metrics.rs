//! `/metrics`: what the shards count, what is on air, what HTTP answered, as OpenMetrics text.

use crate::signalling::{Load, Signalling};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wtn_wish::Overload;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One kind of answered request. The route is the pattern, never the path: names and ids are no labels.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    route: String,
    method: &'static str,
    status: u16,
}

pub(crate) type Requests = Family<RequestLabels, Counter>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RoleLabel {
    role: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct LintLabel {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct InputState {
    state: &'static str,
}

/// The pattern of a URL that the router has no route for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern(pub &'static str);

/// How the configuration was last read.
#[derive(Debug)]
pub(crate) struct Reloads {
    went_well: AtomicBool,
    /// Seconds since 1970-01-01 UTC of the last time that it went well; 0 if only the start has read it.
    good_at: AtomicU64,
}

impl Default for Reloads {
    fn default() -> Self {
        Self { went_well: AtomicBool::new(true), good_at: AtomicU64::new(0) }
    }
}

impl Reloads {
    pub fn note(&self, went_well: bool, unix_now: u64) {
        self.went_well.store(went_well, Ordering::Relaxed);
        if went_well {
            self.good_at.store(unix_now, Ordering::Relaxed);
        }
    }

    fn register(&self, registry: &mut Registry) {
        let went_well = Gauge::<i64>::default();
        went_well.set(self.went_well.load(Ordering::Relaxed).into());
        let help = "0 if the configuration was last read with faults, and an older one is in effect";
        registry.register("config_last_reload_successful", help, went_well);
        let good_at = Gauge::<i64>::default();
        good_at.set(self.good_at.load(Ordering::Relaxed).try_into().unwrap_or_default());
        let help = "When a running server last took over a configuration; 0 if never";
        registry.register("config_last_reload_success_timestamp_seconds", help, good_at);
    }
}

/// Counts every answer.
pub(crate) async fn count_request(
    State(signalling): State<Arc<Signalling>>,
    request: Request,
    next: Next,
) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    };
    let response = next.run(request).await;
    let pattern = || response.extensions().get().map_or("other", |Pattern(pattern)| *pattern).to_owned();
    let route = matched.unwrap_or_else(pattern);
    let labels = RequestLabels { route, method, status: response.status().as_u16() };
    signalling.requests.get_or_create(&labels).inc();
    response
}

/// The page itself.
pub(crate) async fn metrics(State(signalling): State<Arc<Signalling>>) -> Response {
    let mut text = String::new();
    let _ = encode(&mut text, &registry(&signalling));
    ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

fn registry(signalling: &Signalling) -> Registry {
    let mut registry = Registry::with_prefix("wtn");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The running version", build);
    registry.register("http_requests", "HTTP requests answered", signalling.requests.clone());
    register_gauges(&mut registry, signalling);
    signalling.reloads.register(&mut registry);
    register_counters(&mut registry, signalling);
    registry
}

fn register_gauges(registry: &mut Registry, signalling: &Signalling) {
    let front = signalling.front();
    let (mut live, mut publishers, mut viewers, mut silent) = (0, 0, 0, 0);
    for stream in front.desk.streams() {
        live += i64::from(stream.live);
        publishers += stream.inputs.len() as i64;
        viewers += stream.viewers as i64;
        silent += stream.inputs.iter().filter(|input| !input.flows).count() as i64;
    }
    let all = front.desk.session_count() as i64;
    let lint = Family::<LintLabel, Gauge>::default();
    for code in wtn_media::LintCode::ALL {
        lint.get_or_create(&LintLabel { code: code.code() }).set(0);
    }
    for code in front.notes.values().flat_map(|note| note.lint.keys()) {
        lint.get_or_create(&LintLabel { code: code.code() }).inc();
    }
    drop(front);
    registry.register("lint", "Publishers with something to mend, by what; docs/lint.md", lint);
    let streams = Gauge::<i64>::default();
    streams.set(live);
    registry.register("streams", "Streams with a publisher", streams);
    let connected = Family::<RoleLabel, Gauge>::default();
    connected.get_or_create(&RoleLabel { role: "publisher" }).set(publishers);
    connected.get_or_create(&RoleLabel { role: "subscriber" }).set(viewers);
    registry.register("sessions", "Sessions that are connected", connected);
    let inputs = Family::<InputState, Gauge>::default();
    inputs.get_or_create(&InputState { state: "shown" }).set(live);
    inputs.get_or_create(&InputState { state: "standing_by" }).set(publishers - live);
    registry.register("inputs", "Connected publishers, by whether viewers get what they send", inputs);
    let none = Gauge::<i64>::default();
    none.set(silent);
    registry.register("inputs_silent", "Connected publishers that send nothing", none);
    let half_open = Gauge::<i64>::default();
    half_open.set((all - publishers - viewers).max(0));
    registry.register("sessions_half_open", "Sessions admitted and not connected", half_open);
    register_load(registry, signalling.load());
    let draining = Gauge::<i64>::default();
    draining.set(signalling.is_draining().into());
    registry.register("shutting_down", "1 once the server is about to stop", draining);
}

/// What new sessions are measured against.
fn register_load(registry: &mut Registry, load: Load) {
    let mut gauge = |name, help: &str, value| {
        let gauge = Gauge::<f64, AtomicU64>::default();
        gauge.set(value);
        registry.register(name, help, gauge);
    };
    gauge("load_cpu", "Share of its time that the busiest media thread works, 0 to 1", load.cpu);
    gauge("load_egress_bits_per_second", "Media sent over the last second", load.egress_bps);
    gauge("load_memory", "Share of its memory that the process uses, 0 to 1", load.memory);
    let over = Family::<Reason, Gauge>::default();
    for what in [Overload::Cpu, Overload::Egress, Overload::Memory] {
        over.get_or_create(&Reason { reason: what.code() }).set((load.over == Some(what)).into());
    }
    registry.register("overloaded", "1 while newcomers are turned away, by what is used up", over);
}

/// The sum over all shards. Drops and skips become one family each, by reason.
fn register_counters(registry: &mut Registry, signalling: &Signalling) {
    let (drops, skips) = (Family::<Reason, Counter>::default(), Family::<Reason, Counter>::default());
    for counter in wtn_engine::Counter::ALL {
        let sum = signalling.engine.counters().iter().map(|shard| shard.value(*counter)).sum();
        let code = counter.code();
        if let Some(reason) = code.strip_prefix("drop_") {
            drops.get_or_create(&Reason { reason }).inc_by(sum);
        } else if let Some(reason) = code.strip_prefix("skip_") {
            skips.get_or_create(&Reason { reason }).inc_by(sum);
        } else {
            register_total(registry, code, sum);
        }
    }
    for (code, sum) in signalling.network.counters() {
        register_total(registry, code, sum);
    }
    registry.register("drops", "Datagrams and packets received and not used", drops);
    registry.register("skips", "Packets not forwarded to a viewer", skips);
}

fn register_total(registry: &mut Registry, code: &str, sum: u64) {
    let total = Counter::<u64>::default();
    total.inc_by(sum);
    registry.register(code, code.replace('_', " "), total);
}
