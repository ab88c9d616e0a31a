//! A running server goes over to another configuration. Sessions go on.

use crate::config::{Change, Config};
use crate::server::desk_config;
use crate::{Running, StartError, access};
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};
use wtn_http::{Certificate, Outside};
use wtn_wish::DeskConfig;

impl Running {
    /// Works by `config` from now on, as far as it can without a restart, and says what has changed. What needs a
    /// restart keeps its value, and is told of each time. The certificate is read again in any case. Sessions that
    /// run go on, but for those of endpoints that are gone.
    ///
    /// # Errors
    /// By which a server would not have started. Nothing changes then.
    pub fn reload(&self, mut config: Config) -> Result<Vec<Change>, StartError> {
        let prepared = self.prepare(&config).inspect_err(|_| self.reload_failed());
        let (certificate, desk, outside) = prepared?;
        let mut current = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = current.changes(&config);
        for change in changes.iter().filter(|change| change.needs_restart) {
            config.take(change.key, &current);
        }
        // First the endpoints: between the two nobody finds a door that neither configuration leaves open.
        self.signalling.set_config_endpoints(config.endpoints.clone());
        self.signalling.set_config(desk);
        self.signalling.set_outside(outside);
        self.signalling.set_rates(access::rates(&config));
        *self.budgets.lock().unwrap_or_else(PoisonError::into_inner) = config.budgets;
        self.security.set(certificate, config.cleartext());
        self.signalling.note_reload(true, unix_now());
        *current = config;
        Ok(changes)
    }

    /// What may fail of it, before anything changes.
    fn prepare(&self, config: &Config) -> Result<(Option<Certificate>, DeskConfig, Outside), StartError> {
        if !config.has_way_in() {
            return Err(StartError::NoKeys);
        }
        let certificate = config.certificate().map_err(StartError::Certificate)?;
        let desk = desk_config(config, self.media_addr(), self.has_media_tcp(), &self.identity)?;
        Ok((certificate, desk, access::outside(config)?))
    }

    /// Notes, for metrics, that there was a configuration that could not be read: the old one is still in effect.
    pub fn reload_failed(&self) {
        self.signalling.note_reload(false, unix_now());
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
