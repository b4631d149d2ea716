//! All connections of a listener.

use std::{collections::HashMap, sync::Arc};

use metrics::{Counter, Gauge};
use parking_lot::Mutex;

use super::{
    ListenerLimits,
    state::{Clock, CloseReason, ConnectionState},
};

pub(super) struct Registry {
    limits: ListenerLimits,
    clock: Clock,
    connections: Mutex<Connections>,
    open: Gauge,
    /// Number of closed connections, by [`CloseReason`].
    closed: [Counter; CloseReason::ALL.len()],
    refused: Counter,
}

#[derive(Default)]
struct Connections {
    by_id: HashMap<u64, Arc<ConnectionState>>,
    next_id: u64,
    /// Connections that are closed, but whose tasks have not ended.
    closing: usize,
    shutting_down: bool,
}

/// The entry of a connection in its registry. Dropping it removes the connection from the registry.
pub(super) struct Registration {
    registry: Arc<Registry>,
    pub(super) state: Arc<ConnectionState>,
}

impl Registry {
    pub(super) fn new(limits: ListenerLimits) -> Arc<Self> {
        let name = limits.name;
        let closed = |reason: CloseReason| {
            let reason = reason.as_str();
            metrics::counter!("atlashub_connections_closed_total", "listener" => name, "reason" => reason)
        };
        Arc::new(Self {
            clock: Clock::start(),
            connections: Mutex::default(),
            open: metrics::gauge!("atlashub_connections", "listener" => name),
            closed: CloseReason::ALL.map(closed),
            refused: metrics::counter!("atlashub_connections_refused_total", "listener" => name),
            limits,
        })
    }

    pub(super) fn limits(&self) -> &ListenerLimits {
        &self.limits
    }

    /// Adds a connection. If the listener is full, closes the connection that has waited longest for its client.
    /// Returns `None` if none is waiting.
    pub(super) fn register(self: &Arc<Self>) -> Option<Registration> {
        let mut connections = self.connections.lock();
        let open = connections.by_id.len() - connections.closing;
        if open >= self.limits.max_connections && !connections.close_longest_waiting() {
            self.refused.increment(1);
            return None;
        }
        let id = connections.next_id;
        connections.next_id += 1;
        let state = ConnectionState::new(id, self.clock);
        if connections.shutting_down {
            state.shut_down();
        }
        connections.by_id.insert(id, state.clone());
        self.open.set(connections.by_id.len() as f64);
        Some(Registration { registry: self.clone(), state })
    }

    /// Closes the connection that has waited longest, so that its file descriptor becomes free.
    pub(super) fn close_longest_waiting(&self) {
        self.connections.lock().close_longest_waiting();
    }

    /// Closes the connections whose time limit has passed.
    pub(super) fn sweep(&self) {
        let now = self.clock.now();
        let mut connections = self.connections.lock();
        let mut closed = 0;
        for state in connections.by_id.values() {
            if let Some(reason) = state.expired(now, &self.limits)
                && state.close(reason)
            {
                closed += 1;
            }
        }
        connections.closing += closed;
    }

    /// Asks every connection to end after its current request.
    pub(super) fn shut_down(&self) {
        let mut connections = self.connections.lock();
        connections.shutting_down = true;
        for state in connections.by_id.values() {
            state.shut_down();
        }
    }
}

impl Registration {
    pub(super) fn limits(&self) -> &ListenerLimits {
        &self.registry.limits
    }
}

impl Connections {
    fn close_longest_waiting(&mut self) -> bool {
        // A client may have begun a request in the meantime: try the next one.
        loop {
            let waiting = self.by_id.values().filter_map(|state| Some((state.replaceable_since()?, state.id, state)));
            let Some((.., longest)) = waiting.min_by_key(|(since, id, _)| (*since, *id)) else { return false };
            if longest.close(CloseReason::Replaced) {
                self.closing += 1;
                return true;
            }
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let registry = &self.registry;
        self.state.release();
        let mut connections = registry.connections.lock();
        connections.by_id.remove(&self.state.id);
        if self.state.is_closed_by_registry() {
            connections.closing = connections.closing.saturating_sub(1);
        }
        registry.open.set(connections.by_id.len() as f64);
        drop(connections);
        if let Some(counter) = registry.closed.get(self.state.reason() as usize) {
            counter.increment(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{ConnectionsConfig, Vars},
        http::connections::state::Phase,
    };

    fn registry(max_connections: usize) -> Arc<Registry> {
        let config = ConnectionsConfig::from_vars(&Vars::default()).unwrap();
        Registry::new(ListenerLimits { max_connections, ..ListenerLimits::public(&config) })
    }

    #[test]
    fn new_connection_replaces_the_one_that_waited_longest() {
        let registry = registry(3);
        let connections: Vec<_> = (0..3).map(|_| registry.register().unwrap()).collect();
        connections[0].state.enter(Phase::Serving);
        let newest = registry.register().unwrap();
        let phases: Vec<_> = connections.iter().map(|connection| connection.state.phase()).collect();
        assert_eq!(phases, [Phase::Serving, Phase::Closing, Phase::New]);
        assert_eq!(newest.state.phase(), Phase::New);
    }

    #[test]
    fn connections_that_serve_are_not_replaced() {
        let registry = registry(2);
        let connections: Vec<_> = (0..2).map(|_| registry.register().unwrap()).collect();
        for connection in &connections {
            connection.state.enter(Phase::Serving);
        }
        assert!(registry.register().is_none());
        drop(connections);
        assert!(registry.register().is_some());
    }

    #[test]
    fn closed_connections_make_room_only_once() {
        let registry = registry(2);
        let first = registry.register().unwrap();
        let second = registry.register().unwrap();
        let third = registry.register().unwrap();
        assert_eq!(first.state.phase(), Phase::Closing);
        drop(first);
        let fourth = registry.register().unwrap();
        assert_eq!(second.state.phase(), Phase::Closing);
        drop((second, third, fourth));
        assert_eq!(registry.connections.lock().closing, 0);
        assert!(registry.connections.lock().by_id.is_empty());
    }
}
