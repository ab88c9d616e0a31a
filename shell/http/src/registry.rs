//! Where each endpoint lives: in the configuration or in the store; and the one way to change those of the
//! store.
//!
//! A change goes to the disk first and to the desk then, so that nothing is acknowledged that a crash could
//! undo. One change at a time: the disk takes them one by one anyway, and each is judged by what the one before
//! it left. Where both have an endpoint of one name, the configuration's holds.

use crate::signalling::Signalling;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wtn_store::{Allows, Store, StoredEndpoint, StoredKey};
use wtn_wish::{Endpoint, EndpointKey, Key, Problem};

/// Endpoints of the store, each of them in memory three times: here, on the desk and on the disk. About a
/// kilobyte each, most of it keys; a list of them all is ten pages of the largest size.
pub(crate) const ENDPOINTS_MAX: usize = 10_000;

/// Which endpoints there are.
#[derive(Debug)]
pub(crate) struct Registry {
    table: Mutex<Table>,
    /// Held while the disk is written.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Table {
    config: BTreeMap<String, Endpoint>,
    stored: BTreeMap<String, StoredEndpoint>,
    /// `Err`: nothing can be kept, and why.
    store: Result<Arc<Store>, String>,
}

/// One endpoint, and where it lives.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    Config(Endpoint),
    Stored(StoredEndpoint),
}

impl Default for Registry {
    fn default() -> Self {
        let store = Err("this server was started without a data folder".to_owned());
        Self {
            table: Mutex::new(Table { config: BTreeMap::new(), stored: BTreeMap::new(), store }),
            turn: Arc::default(),
        }
    }
}

impl Registry {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoint of that name that holds.
    pub fn find(&self, name: &str) -> Option<Known> {
        self.table().find(name)
    }

    /// At most `limit` endpoints by name, after that of name `after`, and whether there are more.
    pub fn page(&self, after: &str, limit: usize) -> (Vec<Known>, bool) {
        let table = self.table();
        let range = || (Bound::Excluded(after), Bound::Unbounded);
        // Of each list so many are enough, whatever the other has.
        let names: BTreeSet<_> =
            (table.config.range::<str, _>(range()).map(|(name, _)| name).take(limit + 1))
                .chain(table.stored.range::<str, _>(range()).map(|(name, _)| name).take(limit + 1))
                .collect();
        let page = names.iter().take(limit).filter_map(|name| table.find(name)).collect();
        (page, names.len() > limit)
    }
}

impl Table {
    fn find(&self, name: &str) -> Option<Known> {
        let config = self.config.get(name).cloned().map(Known::Config);
        config.or_else(|| self.stored.get(name).cloned().map(Known::Stored))
    }

    /// The endpoint, if it is the store's to change.
    fn changeable(&self, name: &str) -> Result<&StoredEndpoint, Problem> {
        if self.config.contains_key(name) {
            return Err(in_config(name));
        }
        self.stored.get(name).ok_or_else(|| no_such_endpoint(name))
    }
}

/// What the desk is told of a stored endpoint.
fn on_desk(stored: &StoredEndpoint) -> Endpoint {
    let keys = |allows: Allows| {
        let of_kind = stored.keys.iter().filter(|key| key.allows == allows);
        of_kind.map(key_on_desk).collect()
    };
    Endpoint {
        name: stored.name.clone(),
        publish_keys: keys(Allows::Publish),
        play_keys: keys(Allows::Play),
        ice_servers: stored.ice_servers.clone(),
        policy: stored.policy.clone(),
    }
}

fn key_on_desk(key: &StoredKey) -> EndpointKey {
    EndpointKey {
        id: key.id.clone(),
        label: key.label.clone(),
        key: Key::from_digest(key.digest.0),
        expires_at: key.expires_at,
    }
}

impl Signalling {
    /// Keeps endpoints that are made at run time in `store`, and puts those on the desk that it holds.
    pub fn keep_in(&self, store: Store, stored: Vec<StoredEndpoint>) {
        let mut table = self.registry.table();
        let names: Vec<_> = stored.iter().map(|endpoint| endpoint.name.clone()).collect();
        table.stored = stored.into_iter().map(|endpoint| (endpoint.name.clone(), endpoint)).collect();
        table.store = Ok(Arc::new(store));
        for name in &names {
            if table.config.contains_key(name) {
                say_shadowed(name);
            } else {
                self.settle(&table, name);
            }
        }
    }

    /// Keeps nothing from now on: changes are refused with this reason. The file is free for others.
    pub fn keep_nothing(&self, why: impl fmt::Display) {
        self.registry.table().store = Err(why.to_string());
    }

    /// The endpoints of the configuration are these now. Those that are gone from it end with their sessions,
    /// unless the store has one of that name.
    pub fn set_config_endpoints(&self, endpoints: Vec<Endpoint>) {
        let mut table = self.registry.table();
        let new: BTreeMap<_, _> =
            endpoints.into_iter().map(|endpoint| (endpoint.name.clone(), endpoint)).collect();
        let old = std::mem::replace(&mut table.config, new);
        let names: BTreeSet<_> = old.keys().chain(table.config.keys()).cloned().collect();
        for name in names.iter().filter(|name| old.get(*name) != table.config.get(*name)) {
            if table.stored.contains_key(name) && !old.contains_key(name) {
                say_shadowed(name);
            }
            self.settle(&table, name);
        }
    }

    /// Puts on the desk what the table has under that name.
    fn settle(&self, table: &Table, name: &str) {
        match table.find(name) {
            Some(Known::Config(endpoint)) => self.put_endpoint(endpoint),
            Some(Known::Stored(stored)) => self.put_endpoint(on_desk(&stored)),
            None => drop(self.remove_endpoint(name)),
        }
    }

    /// Makes an endpoint.
    pub(crate) async fn create_endpoint(self: &Arc<Self>, new: StoredEndpoint) -> Result<(), Problem> {
        self.in_turn(move |signalling| {
            let table = signalling.registry.table();
            match table.find(&new.name) {
                Some(Known::Config(_)) => return Err(in_config(&new.name)),
                Some(Known::Stored(_)) => return Err(exists(&new.name)),
                None if table.stored.len() >= ENDPOINTS_MAX => return Err(too_many_endpoints()),
                None => {}
            }
            drop(table);
            signalling.write(new)
        })
        .await
    }

    /// Changes an endpoint of the store by `change`, which sees it as it is when its turn comes.
    pub(crate) async fn change_endpoint<T: Send + 'static>(
        self: &Arc<Self>,
        name: String,
        change: impl FnOnce(&mut StoredEndpoint) -> Result<T, Problem> + Send + 'static,
    ) -> Result<(T, StoredEndpoint), Problem> {
        self.in_turn(move |signalling| {
            let mut endpoint = signalling.registry.table().changeable(&name)?.clone();
            let outcome = change(&mut endpoint)?;
            signalling.write(endpoint.clone())?;
            Ok((outcome, endpoint))
        })
        .await
    }

    /// Removes an endpoint of the store, if `check` agrees, and ends its sessions.
    pub(crate) async fn destroy_endpoint(
        self: &Arc<Self>,
        name: String,
        check: impl FnOnce(&StoredEndpoint) -> Result<(), Problem> + Send + 'static,
    ) -> Result<(), Problem> {
        self.in_turn(move |signalling| {
            let table = signalling.registry.table();
            check(table.changeable(&name)?)?;
            let store = table.store()?;
            drop(table);
            store.remove(&name).map_err(|error| store_failed(&error))?;
            let mut table = signalling.registry.table();
            table.stored.remove(&name);
            signalling.settle(&table, &name);
            tracing::info!(endpoint = name, "endpoint destroyed");
            Ok(())
        })
        .await
    }

    /// To the disk, then to the desk.
    fn write(&self, endpoint: StoredEndpoint) -> Result<(), Problem> {
        let store = self.registry.table().store()?;
        store.put(&endpoint).map_err(|error| store_failed(&error))?;
        let name = endpoint.name.clone();
        let mut table = self.registry.table();
        table.stored.insert(name.clone(), endpoint);
        self.settle(&table, &name);
        tracing::info!(endpoint = name, "endpoint written");
        Ok(())
    }

    /// Runs `change` when it is its turn, to its end: also if the client goes away meanwhile, or disk and desk
    /// could come to differ.
    async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.registry.turn).lock_owned().await;
        let signalling = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = change(&signalling);
            drop(turn);
            outcome
        });
        done.await.unwrap_or_else(|_| Err(store_failed(&"the change ended in a bug of ours")))
    }
}

impl Table {
    fn store(&self) -> Result<Arc<Store>, Problem> {
        self.store.clone().map_err(|why| no_store(&why))
    }
}

fn say_shadowed(name: &str) {
    tracing::warn!(
        endpoint = name,
        fix = "rename or remove it in the configuration, and the other comes back",
        "this endpoint is in the configuration and in the store; the configuration's holds"
    );
}

pub(crate) fn no_such_endpoint(name: &str) -> Problem {
    Problem::new(
        404,
        "no_such_endpoint",
        "No such endpoint",
        format!("There is no endpoint {name:?}."),
        "See the list: GET /api/v1/endpoints, or `wtn endpoint list`.",
    )
}

fn in_config(name: &str) -> Problem {
    Problem::new(
        409,
        "endpoint_in_config",
        "Endpoint of the configuration",
        format!("The endpoint {name:?} is in the configuration file, which is not changed from here."),
        "Change the file and reload it (SIGHUP), or choose another name.",
    )
}

fn exists(name: &str) -> Problem {
    Problem::new(
        409,
        "endpoint_exists",
        "Endpoint exists",
        format!("There is an endpoint {name:?} already."),
        "Change that one (PATCH, or `wtn endpoint change`), or choose another name.",
    )
}

fn too_many_endpoints() -> Problem {
    Problem::new(
        409,
        "too_many_endpoints",
        "Too many endpoints",
        format!("There are {ENDPOINTS_MAX} endpoints, which is as many as one server keeps."),
        "Destroy those that are not used any more.",
    )
}

fn no_store(why: &str) -> Problem {
    Problem::new(
        503,
        "no_store",
        "Nothing can be kept",
        format!("Endpoints cannot be made or changed here: {why}."),
        "Set data_dir to a folder that the server may write to, or put endpoints into the configuration file.",
    )
}

fn store_failed(error: &dyn fmt::Display) -> Problem {
    tracing::error!(%error, "an endpoint could not be written");
    Problem::new(
        503,
        "store_failed",
        "Not written",
        "The change could not be written to the server's data folder, and is not made; the server's log has the \
         reason.",
        "See that the folder's disk has room and that the server may write to it; then try again.",
    )
    .retry_after(5)
}
