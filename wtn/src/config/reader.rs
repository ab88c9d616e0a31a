//! Reads TOML by a table of keys: says what does not fit, and remembers where each value came from.

use super::fault::{self, Fault};
use super::origin::{Origin, Origins, Spot};
use super::table::{self, Key};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One source of values.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    File {
        name: &'a str,
        text: &'a str,
    },
    /// An environment variable or a part of the command line, as messages name it.
    Outside(&'a Origin),
}

/// What reads one source.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    origins: &'a mut Origins,
    faults: &'a mut Vec<Fault>,
    /// Of the table that is being read, with a dot at its end, and of the key: `endpoints[2].` and `name`.
    inside: String,
    key: String,
    wants: &'static str,
}

impl<'a> Reader<'a> {
    pub fn new(source: Source<'a>, origins: &'a mut Origins, faults: &'a mut Vec<Fault>) -> Self {
        Self { source, origins, faults, inside: String::new(), key: String::new(), wants: "" }
    }

    /// Reads all entries of `table`. True if all were fine.
    pub fn table<T>(&mut self, into: &mut T, keys: &'static [Key<T>], table: &DeTable<'_>) -> bool {
        self.entries(into, keys, "", table)
    }

    fn entries<T>(
        &mut self,
        into: &mut T,
        keys: &'static [Key<T>],
        prefix: &str,
        table: &DeTable<'_>,
    ) -> bool {
        let mut is_fine = true;
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = format!("{prefix}{}", key.get_ref());
            if let Some(row) = table::find(keys, &path) {
                is_fine &= self.value(into, row, value).is_some();
                continue;
            }
            if table::is_table(keys, &path) {
                match value.get_ref().as_table() {
                    Some(table) => is_fine &= self.entries(into, keys, &format!("{path}."), table),
                    None => {
                        let shown = shown(&format!("{}{path}", self.inside));
                        let fix = match &*self.inside {
                            "" => format!("write `[{path}]` on a line of its own, its keys below"),
                            _ => format!("write `{path}.KEY = …`"),
                        };
                        self.fault(value.span(), &format!("`{shown}` is a table"), Some(fix));
                        is_fine = false;
                    }
                }
                continue;
            }
            is_fine = false;
            let near = table::nearest(keys, &path);
            let here = near.and_then(|near| near.strip_prefix(prefix));
            let fix = here.or(near).map(|near| format!("did you mean `{near}`?"));
            let shown = shown(&format!("{}{path}", self.inside));
            self.fault(key.span(), &format!("unknown key `{shown}`"), fix);
            // It may have been meant to be the secret that this table has, unless it is all but another key of it.
            let is_all_but = |known: &str| strsim::damerau_levenshtein(known, key.get_ref()) <= 2;
            let mut siblings = keys.iter().filter_map(|key| key.path.strip_prefix(prefix));
            let has_secret = siblings.any(|name| !name.contains('.') && fault::may_tell(name));
            if near.is_none_or(fault::may_tell) || (has_secret && !here.is_some_and(is_all_but)) {
                self.faults.last_mut().into_iter().for_each(Fault::cover);
            }
        }
        is_fine
    }

    /// Reads the value of one key.
    pub fn value<T>(&mut self, into: &mut T, row: &Key<T>, value: &Spanned<DeValue<'_>>) -> Option<()> {
        let key = std::mem::replace(&mut self.key, row.path.to_owned());
        let wants = std::mem::replace(&mut self.wants, row.wants);
        let path = format!("{}{}", self.inside, row.path);
        // What another source said of the elements of a list is gone with the list.
        let before: Vec<_> =
            self.origins.keys().filter(|known| known.starts_with(&format!("{path}["))).cloned().collect();
        before.iter().for_each(|known| drop(self.origins.remove(known)));
        let read = row.value.read(into, value, self);
        if read.is_some() {
            self.note(path, value.span());
        }
        (self.key, self.wants) = (key, wants);
        read
    }

    /// Reads one element of the list that is the value of the current key.
    pub fn element<R>(&mut self, place: usize, span: Range<usize>, read: impl FnOnce(&mut Self) -> R) -> R {
        let inside = format!("{}{}[{place}]", self.inside, self.key);
        self.note(inside.clone(), span);
        let outside = std::mem::replace(&mut self.inside, format!("{inside}."));
        let key = std::mem::take(&mut self.key);
        let done = read(self);
        (self.inside, self.key) = (outside, key);
        done
    }

    /// The key that is being read, as people write it.
    pub fn path(&self) -> String {
        shown(format!("{}{}", self.inside, self.key).trim_end_matches('.'))
    }

    /// The value, or a part of it, is not what its key wants.
    pub fn unfit(&mut self, span: Range<usize>) {
        let (what, wants) = (format!("`{}` cannot be this", self.path()), self.wants);
        self.fault(span, &what, Some(format!("it wants {wants}")));
    }

    /// Anything else that is wrong.
    pub fn fault(&mut self, span: Range<usize>, what: &str, fix: Option<String>) {
        self.faults.push(match self.source {
            Source::File { name, text } => Fault::in_file(name, text, span, what, fix),
            Source::Outside(origin) => Fault::outside(&origin.to_string(), what, fix),
        });
    }

    fn note(&mut self, path: String, span: Range<usize>) {
        let origin = match self.source {
            Source::File { name, text } => Origin::in_file(name, text, span.start),
            Source::Outside(origin) => origin.clone(),
        };
        self.origins.insert(path, Spot { origin, span });
    }
}

/// A path without the places of elements, as one writes it: `endpoints[2].name` is `endpoints.name`.
fn shown(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    for part in path.split('[') {
        shown.push_str(if shown.is_empty() {
            part
        } else {
            part.split_once(']').map_or(part, |(_, rest)| rest)
        });
    }
    shown
}
