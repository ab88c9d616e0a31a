//! A configuration together with where each of its values came from.

use super::fault::{Fault, Faults};
use super::keys::{self, KEYS};
use super::origin::{Origin, Origins};
use super::reader::{Reader, Source};
use super::table;
use super::tables::Flaw;
use super::{Config, ENV_PREFIX};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the server is told to do.
    pub config: Config,
    pub(super) origins: Origins,
}

impl Loaded {
    /// Reads the file, if there is one, the process environment and the `key=value` pairs of the command line.
    ///
    /// # Errors
    /// Every fault of all three, in that order.
    pub fn load(file: Option<&Path>, sets: &[String]) -> Result<Self, Faults> {
        let text = file.map(|path| (path.display().to_string(), std::fs::read_to_string(path)));
        let (file, unreadable) = match text {
            Some((name, Ok(text))) => (Some((name, text)), None),
            Some((name, Err(error))) => (None, Some(Fault::unreadable(&name, &error))),
            None => (None, None),
        };
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        let file = file.as_ref().map(|(name, text)| (&**name, &**text));
        let read = Self::read(file, env, sets);
        match (read, unreadable) {
            (Ok(loaded), None) => match loaded.config.certificate() {
                Ok(_) => Ok(loaded),
                Err(error) => {
                    let key = if error.is_key { "http.tls.key" } else { "http.tls.certificate" };
                    let flaw = Flaw { key, what: error.what, fix: error.fix.to_owned() };
                    Err(Faults(vec![loaded.fault(flaw, file)]))
                }
            },
            (Ok(_), Some(fault)) => Err(Faults(vec![fault])),
            (Err(mut faults), unreadable) => {
                faults.0.splice(0..0, unreadable);
                Err(faults)
            }
        }
    }

    /// [`load`](Self::load) without the file system: `file` is its name and text, `env` all variables.
    ///
    /// # Errors
    /// Every fault, in the order of the sources.
    pub fn read(
        file: Option<(&str, &str)>,
        env: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, Faults> {
        let mut loaded = Self { config: Config::default(), origins: Origins::new() };
        let mut faults = Vec::new();
        if let Some((name, text)) = file {
            loaded.file(name, text, &mut faults);
        }
        let mut env: Vec<_> = env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        env.sort();
        for (name, value) in env {
            let path = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            loaded.text(&Origin::Env(name), &path, &value, &mut faults);
        }
        for pair in sets {
            match pair.split_once('=') {
                Some((path, value)) => {
                    let path = path.trim();
                    loaded.text(&Origin::Set(path.to_owned()), path, value.trim(), &mut faults);
                }
                None => faults.push(Fault::outside(
                    &format!("--set {pair}"),
                    "there is no `=`",
                    Some("write --set key=value".to_owned()),
                )),
            }
        }
        if faults.is_empty() {
            faults.extend(keys::flaws(&loaded.config).into_iter().map(|flaw| loaded.fault(flaw, file)));
        }
        if faults.is_empty() { Ok(loaded) } else { Err(Faults(faults)) }
    }

    /// How much is set, in a few words.
    pub fn summary(&self) -> String {
        let set = self.origins.keys().filter(|path| !path.contains('[')).count();
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            many => format!("{many} {what}s"),
        };
        let endpoints = self.config.endpoints.len();
        format!("{} set, {}", count(set, "key"), count(endpoints, "endpoint"))
    }

    /// Where the value of `path` came from; an element of a list is `endpoints[0]`.
    pub fn origin(&self, path: &str) -> Origin {
        self.origins.get(path).map_or(Origin::Default, |spot| spot.origin.clone())
    }

    fn file(&mut self, name: &str, text: &str, faults: &mut Vec<Fault>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            faults.push(Fault::in_file(name, text, span, error.message(), None));
        }
        let mut reader = Reader::new(Source::File { name, text }, &mut self.origins, faults);
        reader.table(&mut self.config, KEYS, table.get_ref());
    }

    /// One value from outside a file: TOML if it is TOML, else plain text, else a list with commas.
    fn text(&mut self, origin: &Origin, path: &str, value: &str, faults: &mut Vec<Fault>) {
        let Some(row) = table::find(KEYS, path) else {
            let near = table::nearest(KEYS, path).map(|near| format!("did you mean `{near}`?"));
            faults.push(Fault::outside(&origin.to_string(), &format!("unknown key `{path}`"), near));
            return;
        };
        let string = |text: &str| Spanned::new(0..0, DeValue::String(text.to_owned().into()));
        let list = || {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            Spanned::new(0..0, DeValue::Array(items.map(string).collect()))
        };
        let toml = DeValue::parse(value).ok();
        let is_structured = toml.as_ref().is_some_and(|value| value.get_ref().is_array());
        let readings = toml.into_iter().chain([string(value), list()]);
        let mut of_toml = None;
        for reading in readings {
            let mut unfit = Vec::new();
            let mut reader = Reader::new(Source::Outside(origin), &mut self.origins, &mut unfit);
            if reader.value(&mut self.config, row, &reading).is_some() {
                return;
            }
            of_toml.get_or_insert(unfit);
        }
        // What looks like a list of TOML was meant as one, and its own faults tell more.
        let what = format!("`{}` cannot be this", row.path);
        let wants =
            || vec![Fault::outside(&origin.to_string(), &what, Some(format!("it wants {}", row.wants)))];
        faults.extend(of_toml.filter(|_| is_structured).unwrap_or_else(wants));
    }

    /// What is wrong with several keys together is shown where the first of them stands.
    fn fault(&self, flaw: Flaw, file: Option<(&str, &str)>) -> Fault {
        let spot = self.origins.get(flaw.key);
        match (spot, file) {
            (Some(spot), Some((name, text))) if matches!(spot.origin, Origin::File { .. }) => {
                Fault::in_file(name, text, spot.span.clone(), &flaw.what, Some(flaw.fix))
            }
            (spot, _) => {
                let place = spot.map_or(flaw.key.to_owned(), |spot| spot.origin.to_string());
                Fault::outside(&place, &flaw.what, Some(flaw.fix))
            }
        }
    }
}
