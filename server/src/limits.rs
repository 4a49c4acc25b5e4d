//! How much one client may ask for.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

use crate::Config;
use crate::observe::network;

/// Requests and connections by address.
#[derive(Debug)]
pub(crate) struct Limits {
    requests: Option<DefaultKeyedRateLimiter<IpAddr>>,
    clock: DefaultClock,
    trusted: Vec<IpNet>,
    per_address: usize,
    connections: Mutex<HashMap<IpAddr, usize>>,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        let quota = NonZeroU32::new(config.requests_per_second)
            .map(|n| Quota::per_second(n).allow_burst(NonZeroU32::new(config.burst).unwrap_or(n)));
        Self {
            requests: quota.map(RateLimiter::keyed),
            clock: DefaultClock::default(),
            trusted: config.trusted_proxy.clone(),
            per_address: config.connections_per_address as usize,
            connections: Mutex::default(),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted
            .iter()
            .any(|net| net.contains(&address.to_canonical()))
    }

    /// Who asks: the connection's other end, or whom a trusted proxy names. Of several the last that no trusted proxy is,
    /// for what stands before it anyone can write.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer.to_canonical();
        }
        let values = headers
            .get_all("x-forwarded-for")
            .into_iter()
            .filter_map(|v| v.to_str().ok());
        let mut named: Vec<IpAddr> = Vec::new();
        for text in values.flat_map(|v| v.split(',')) {
            match forwarded(text.trim()) {
                Some(address) => named.push(address),
                None => named.clear(),
            }
        }
        let client = named.into_iter().rev().find(|a| !self.trusts(*a));
        client.unwrap_or(peer).to_canonical()
    }

    /// # Errors
    /// How long to wait.
    pub(crate) fn admit(&self, client: IpAddr) -> Result<(), Duration> {
        let Some(requests) = &self.requests else {
            return Ok(());
        };
        requests
            .check_key(&network(client))
            .map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Forgets addresses that have been quiet.
    pub(crate) fn tidy(&self) {
        if let Some(requests) = &self.requests {
            requests.retain_recent();
            requests.shrink_to_fit();
        }
    }

    /// A place for a connection, until it is dropped; none where the address has too many.
    pub(crate) fn connect(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        if self.per_address == 0 || self.trusts(peer) {
            return Some(Place(None));
        }
        let key = network(peer);
        let mut open = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Place(Some((Arc::clone(self), key))))
    }
}

/// An address as proxies write it: alone, in brackets, with a port.
fn forwarded(text: &str) -> Option<IpAddr> {
    let alone = text.parse().ok();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    alone
        .or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip()))
        .or_else(bare)
}

/// A connection's place among those of its address.
#[derive(Debug)]
pub(crate) struct Place(Option<(Arc<Limits>, IpAddr)>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some((limits, key)) = &self.0 else { return };
        let mut open = limits.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                open.remove(key);
            }
        }
    }
}
