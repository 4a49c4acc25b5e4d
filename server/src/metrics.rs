//! Numbers for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::Catalogue;

/// What requests are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Labels {
    pub(crate) route: &'static str,
    pub(crate) status: u16,
}

/// Why a connection was not served.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    pub(crate) reason: &'static str,
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    bytes: Counter,
    seconds: Histogram,
    pub(crate) limited: Counter,
    pub(crate) connections: Gauge,
    pub(crate) turned_away: Family<Reason, Counter>,
    pub(crate) refreshes_failed: Counter,
    models: Gauge,
    refused: Gauge,
    memory: Gauge<u64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("asasr");
        let requests = Family::default();
        registry.register("requests", "Requests answered", requests.clone());
        let bytes = Counter::default();
        registry.register_with_unit(
            "response_body",
            "Lengths of the bodies of all answers",
            Unit::Bytes,
            bytes.clone(),
        );
        let seconds = Histogram::new([0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]);
        registry.register_with_unit(
            "response",
            "Time until an answer began",
            Unit::Seconds,
            seconds.clone(),
        );
        let limited = Counter::default();
        registry.register(
            "requests_limited",
            "Requests turned away because their address asks too much",
            limited.clone(),
        );
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        let turned_away = Family::default();
        registry.register(
            "connections_turned_away",
            "Connections closed without being served",
            turned_away.clone(),
        );
        let refreshes_failed = Counter::default();
        registry.register(
            "refreshes_failed",
            "Times that the store could not be listed",
            refreshes_failed.clone(),
        );
        let models = Gauge::default();
        registry.register("models", "Models served", models.clone());
        let refused = Gauge::default();
        registry.register(
            "releases_refused",
            "Releases of the store that cannot be served",
            refused.clone(),
        );
        let memory = Gauge::default();
        registry.register_with_unit("weights_memory", "Weights in memory", Unit::Bytes, memory.clone());
        Self {
            registry,
            requests,
            bytes,
            seconds,
            limited,
            connections,
            turned_away,
            refreshes_failed,
            models,
            refused,
            memory,
        }
    }

    pub(crate) fn count(&self, labels: &Labels, seconds: f64, bytes: u64) {
        self.requests.get_or_create(labels).inc();
        self.seconds.observe(seconds);
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn turn_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&Reason { reason }).inc();
    }

    /// In the exposition format.
    pub(crate) fn text(&self, catalogue: &Arc<Catalogue>) -> String {
        self.models.set(catalogue.ids().len() as i64);
        self.refused.set(catalogue.refused() as i64);
        self.memory.set(catalogue.memory());
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
