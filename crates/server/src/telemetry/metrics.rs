//! The counters, as Prometheus and OpenMetrics readers want them.
//!
//! Owns: names, labels, buckets. A request costs an index into a fixed table and two increments, an answer of a provider
//! a search among the few names of the configuration; only its failures and crawls look a label up. Never does: take a
//! label from a stranger, so the number of series is bounded by the route table and the configuration.

use crate::events::EventLog;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

type Labels<const N: usize> = [(&'static str, String); N];

/// Seconds, from a cached answer to a slow model.
const BUCKETS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The route of a request that matched none.
const UNMATCHED: (&str, &str) = ("any", "(none)");

/// Every counter of the process.
pub struct Metrics {
    registry: Registry,
    /// One for each row of the route table, and one for no row.
    routes: Vec<Route>,
    limited: Counter,
    provider_calls: Family<Labels<2>, Counter>,
    provider_tokens: Family<Labels<2>, Counter>,
    provider_cost: Family<Labels<1>, Counter>,
    /// The handles of each provider that has answered; as few as the configuration names.
    answering: RwLock<Vec<(Box<str>, Answering)>>,
    places_refused: Counter,
    open_connections: Gauge,
    resting_connections: Gauge,
    in_flight: Gauge,
    blocked_networks: Gauge,
    lockdown: Gauge,
    blocked_requests: Counter,
    audit_waiting: Gauge,
    crawl_pages: Family<Labels<1>, Counter>,
    events: Arc<OnceLock<EventLog>>,
}

/// The handles of one route.
struct Route {
    /// 1xx to 5xx.
    classes: [Counter; 5],
    duration: Histogram,
}

/// The handles of one provider.
#[derive(Clone)]
struct Answering {
    answered: Counter,
    input: Counter,
    output: Counter,
    cost: Counter,
}

impl Metrics {
    /// `routes` are method and pattern of each row, in the order of the route table.
    pub fn new(routes: &[(&str, &str)]) -> Self {
        let mut registry = Registry::with_prefix("chatward");
        let requests = Family::<Labels<3>, Counter>::default();
        let durations = Family::<Labels<2>, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let handles = routes.iter().chain([&UNMATCHED]).map(|(method, path)| {
            let labels = [("method", (*method).to_owned()), ("route", (*path).to_owned())];
            let [method, path] = labels.clone();
            Route {
                classes: ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
                    let labels = [method.clone(), path.clone(), ("status", class.to_owned())];
                    requests.get_or_create_owned(&labels)
                }),
                duration: durations.get_or_create_owned(&labels),
            }
        });
        let routes = handles.collect();
        let events = Arc::new(OnceLock::new());
        let metrics = Self {
            routes,
            limited: Counter::default(),
            provider_calls: Family::default(),
            provider_tokens: Family::default(),
            provider_cost: Family::default(),
            answering: RwLock::default(),
            places_refused: Counter::default(),
            open_connections: Gauge::default(),
            resting_connections: Gauge::default(),
            in_flight: Gauge::default(),
            blocked_networks: Gauge::default(),
            lockdown: Gauge::default(),
            blocked_requests: Counter::default(),
            audit_waiting: Gauge::default(),
            crawl_pages: Family::default(),
            events: Arc::clone(&events),
            registry: Registry::default(),
        };
        registry.register("http_requests", "Requests by route and class of status", requests);
        registry.register_with_unit("http_request_duration", "Time to the response's head", Unit::Seconds, durations);
        registry.register("rate_limited", "Requests refused by a limit", metrics.limited.clone());
        registry.register("provider_calls", "Provider calls by outcome", metrics.provider_calls.clone());
        registry.register("provider_tokens", "Tokens by direction", metrics.provider_tokens.clone());
        registry.register(
            "provider_cost_micro_usd",
            "Cost of provider calls in millionths of a US dollar",
            metrics.provider_cost.clone(),
        );
        registry.register(
            "provider_places_refused",
            "Answers without a provider because all places were taken",
            metrics.places_refused.clone(),
        );
        registry.register("open_connections", "Open connections", metrics.open_connections.clone());
        registry.register(
            "resting_connections",
            "Connections whose answer is silent, and which hold no buffers meanwhile",
            metrics.resting_connections.clone(),
        );
        registry.register("requests_in_flight", "Requests being answered", metrics.in_flight.clone());
        registry.register("blocked_networks", "Networks that are blocked", metrics.blocked_networks.clone());
        registry.register("lockdown", "1 while nobody is served", metrics.lockdown.clone());
        registry.register(
            "blocked_requests",
            "Requests and connections refused by a block or the lockdown",
            metrics.blocked_requests.clone(),
        );
        registry.register(
            "audit_records_waiting",
            "Records that wait for an audit trail that can be written",
            metrics.audit_waiting.clone(),
        );
        registry.register("crawl_pages", "Pages of crawls by outcome", metrics.crawl_pages.clone());
        registry.register_collector(Box::new(EventCounts(events)));
        Self { registry, ..metrics }
    }

    /// Counts a request by its row (`None`: no route matched), status and time to the response's head.
    pub fn record_request(&self, row: Option<usize>, status: u16, elapsed: Duration) {
        let unmatched = self.routes.len().saturating_sub(1);
        let route = self.routes.get(row.unwrap_or(unmatched)).or(self.routes.last());
        if let Some(route) = route {
            let class = usize::from(status / 100).clamp(1, 5) - 1;
            route.classes[class].inc();
            route.duration.observe(elapsed.as_secs_f64());
        }
    }

    /// Counts a refusal by a limit.
    pub fn count_limited(&self) {
        self.limited.inc();
    }

    /// Counts a provider call by its outcome, a word of ours such as `answered` or `timeout`.
    pub fn count_provider(&self, provider: &str, outcome: &'static str) {
        let labels = [("provider", provider.to_owned()), ("outcome", outcome.to_owned())];
        self.provider_calls.get_or_create(&labels).inc();
    }

    /// Counts what an answer used: tokens in, tokens out, millionths of a US dollar.
    pub fn count_spent(&self, provider: &str, input_tokens: u32, output_tokens: u32, micro_usd: u64) {
        self.with(provider, |of| {
            of.input.inc_by(u64::from(input_tokens));
            of.output.inc_by(u64::from(output_tokens));
            of.cost.inc_by(micro_usd);
        });
    }

    /// Counts an answer that a provider gave to its end.
    pub fn count_answered(&self, provider: &str) {
        self.with(provider, |of| {
            of.answered.inc();
        });
    }

    fn with(&self, provider: &str, count: impl FnOnce(&Answering)) {
        // Nothing panics with the lock held, and a list that one did so with is whole.
        let known = self.answering.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, of)) = known.iter().find(|(name, _)| **name == *provider) {
            count(of);
            return;
        }
        drop(known);
        let name = || ("provider", provider.to_owned());
        let tokens =
            |direction: &str| self.provider_tokens.get_or_create_owned(&[name(), ("direction", direction.to_owned())]);
        let of = Answering {
            answered: self.provider_calls.get_or_create_owned(&[name(), ("outcome", "answered".to_owned())]),
            input: tokens("input"),
            output: tokens("output"),
            cost: self.provider_cost.get_or_create_owned(&[name()]),
        };
        count(&of);
        let mut known = self.answering.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().all(|(known, _)| **known != *provider) {
            known.push((provider.into(), of));
        }
    }

    /// Counts an answer that had to do without a provider because all places were taken.
    pub fn count_provider_place_refused(&self) {
        self.places_refused.inc();
    }

    /// Counts pages of a crawl by outcome: `indexed`, `skipped` or `failed`.
    pub fn count_crawl_pages(&self, outcome: &'static str, pages: u64) {
        self.crawl_pages.get_or_create(&[("outcome", outcome.to_owned())]).inc_by(pages);
    }

    /// Sets what is open now, before rendering.
    pub fn set_open(&self, connections: usize, resting: usize, in_flight: u32) {
        self.open_connections.set(i64::try_from(connections).unwrap_or(i64::MAX));
        self.resting_connections.set(i64::try_from(resting).unwrap_or(i64::MAX));
        self.in_flight.set(i64::from(in_flight));
    }

    /// Sets what is blocked now, before rendering.
    pub fn set_gate(&self, networks: usize, locked: bool, refused: u64, waiting: usize) {
        self.blocked_networks.set(i64::try_from(networks).unwrap_or(i64::MAX));
        self.lockdown.set(i64::from(locked));
        self.blocked_requests.inner().store(refused, std::sync::atomic::Ordering::Relaxed);
        self.audit_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Shows this log's counts from now on. The first call counts.
    pub fn watch_events(&self, events: &EventLog) {
        let _ = self.events.set(events.clone());
    }

    /// Everything in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            // Writing into a String cannot fail; a reader must not get half of it should it ever.
            Err(fmt::Error) => "# EOF\n".to_owned(),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}

/// The event log's own counters, read when they are asked for.
#[derive(Debug)]
struct EventCounts(Arc<OnceLock<EventLog>>);

impl Collector for EventCounts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(log) = self.0.get() else { return Ok(()) };
        let counts = log.counts();
        if !counts.is_empty() {
            let kind = ConstCounter::new(0_u64).metric_type();
            let mut family = encoder.encode_descriptor("security_events", "Security events by name", None, kind)?;
            for (name, count) in counts {
                let labels = [("event", name)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, count) in [
            ("security_events_dropped", "Security events that never reached the file", log.dropped()),
            ("security_log_write_failures", "Failed attempts to write the security log", log.write_failures()),
        ] {
            let counter = ConstCounter::new(count);
            let encoder = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(encoder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatward_types::{Event, EventName, Outcome, Severity, SystemClock};

    fn metrics() -> Metrics {
        Metrics::new(&[("GET", "/healthz"), ("POST", "/api/v1/widget/messages")])
    }

    #[test]
    fn requests_are_counted_by_route_and_class() {
        let metrics = metrics();
        metrics.record_request(Some(1), 200, Duration::from_millis(3));
        metrics.record_request(Some(1), 204, Duration::from_millis(3));
        metrics.record_request(Some(1), 429, Duration::from_micros(30));
        metrics.record_request(None, 404, Duration::from_micros(30));
        // A row that is not there and a status that is none are counted somewhere, never a panic.
        metrics.record_request(Some(99), 999, Duration::MAX);
        metrics.record_request(Some(0), 0, Duration::ZERO);
        let text = metrics.render();
        for line in [
            "chatward_http_requests_total{method=\"POST\",route=\"/api/v1/widget/messages\",status=\"2xx\"} 2",
            "chatward_http_requests_total{method=\"POST\",route=\"/api/v1/widget/messages\",status=\"4xx\"} 1",
            "chatward_http_requests_total{method=\"any\",route=\"(none)\",status=\"4xx\"} 1",
            "chatward_http_requests_total{method=\"any\",route=\"(none)\",status=\"5xx\"} 1",
            "chatward_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"5xx\"} 0",
            "chatward_http_request_duration_seconds_count{method=\"POST\",route=\"/api/v1/widget/messages\"} 3",
            "chatward_http_request_duration_seconds_bucket{le=\"0.005\",method=\"POST\",route=\"/api/v1/widget/messages\"} 3",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn providers_money_and_events_are_counted() {
        let metrics = metrics();
        metrics.count_answered("openai");
        metrics.count_answered("openai");
        metrics.count_provider("openai", "timeout");
        metrics.count_spent("openai", 1200, 300, 456);
        metrics.count_spent("openai", 1, 1, 1);
        metrics.count_limited();
        metrics.count_provider_place_refused();
        metrics.count_crawl_pages("indexed", 15);
        metrics.set_open(7, 2, 3);
        let log = EventLog::discarding(Arc::new(SystemClock));
        metrics.watch_events(&log);
        log.emit(Event::new(0, EventName::CorsBlocked, Severity::Warning, Outcome::Refused));
        let text = metrics.render();
        for line in [
            "chatward_provider_calls_total{provider=\"openai\",outcome=\"timeout\"} 1",
            "chatward_provider_calls_total{provider=\"openai\",outcome=\"answered\"} 2",
            "chatward_provider_tokens_total{provider=\"openai\",direction=\"input\"} 1201",
            "chatward_provider_cost_micro_usd_total{provider=\"openai\"} 457",
            "chatward_rate_limited_total 1",
            "chatward_provider_places_refused_total 1",
            "chatward_crawl_pages_total{outcome=\"indexed\"} 15",
            "chatward_open_connections 7",
            "chatward_resting_connections 2",
            "chatward_requests_in_flight 3",
            "chatward_security_events_total{event=\"CORS_BLOCKED\"} 1",
            "chatward_security_events_dropped_total 0",
            "chatward_security_log_write_failures_total 0",
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in\n{text}");
        }
    }
}
