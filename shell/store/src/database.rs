//! The file and its two tables.

use crate::error::{OpenError, OpenFault, WriteError};
use crate::record::{StoredEndpoint, row};
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

const FILE: &str = "wtn.redb";
/// Under this name the file is made; it gets its own when it is whole.
const FILE_NEW: &str = "wtn.redb.new";
/// Endpoints by name.
const ENDPOINTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("endpoints");
/// Numbers about the file: [`SCHEMA`] and [`COUNT`].
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// The form of everything else.
const SCHEMA: &str = "schema";
const SCHEMA_NOW: u64 = 1;
/// How many rows there are: a row that is lost is missed.
const COUNT: &str = "endpoints";
/// Everything is read once and then written row by row; pages are not read again.
const CACHE_LEN: usize = 1024 * 1024;

type Outcome<T> = Result<T, redb::Error>;

/// The store: one process's alone while it lives.
#[derive(Debug)]
pub struct Store {
    file: PathBuf,
    /// `None`: nothing was written yet, or the last write failed and the file is to be opened again.
    database: Mutex<Option<Database>>,
}

impl Store {
    /// The store in `folder`, and what it holds. Where there is none it is empty, and made by the first
    /// write.
    ///
    /// # Errors
    /// The file is there and cannot be used.
    pub fn open(folder: &Path) -> Result<(Self, Vec<StoredEndpoint>), OpenError> {
        let file = folder.join(FILE);
        let opened = match open(&file) {
            Ok(opened) => opened,
            Err(fault) => return Err(OpenError { file, fault }),
        };
        let (database, endpoints) = opened.map_or((None, Vec::new()), |(base, rows)| (Some(base), rows));
        Ok((Self { file, database: Mutex::new(database) }, endpoints))
    }

    /// Where the file is, or will be.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Adds the endpoint, or puts it in the place of the one with its name. On return it is on the disk.
    ///
    /// # Errors
    /// It is not, and what was there before still is.
    pub fn put(&self, endpoint: &StoredEndpoint) -> Result<(), WriteError> {
        let bytes = row::write(endpoint).map_err(|error| self.failed(error))?;
        self.write(|endpoints| endpoints.insert(&*endpoint.name, &*bytes).map(drop))
    }

    /// Removes the endpoint. On return that is on the disk.
    ///
    /// # Errors
    /// It is not, and the endpoint is still there.
    pub fn remove(&self, name: &str) -> Result<(), WriteError> {
        self.write(|endpoints| endpoints.remove(name).map(drop))
    }

    fn write(
        &self,
        change: impl FnOnce(&mut redb::Table<'_, &'static str, &'static [u8]>) -> Result<(), redb::StorageError>,
    ) -> Result<(), WriteError> {
        let mut guard = self.database();
        let database = match guard.take() {
            Some(database) => database,
            None => self.open_again()?,
        };
        // After a refusal of the disk redb wants to be opened anew; so it is, by the next write.
        write(&database, change).map_err(|error| self.failed(error))?;
        *guard = Some(database);
        Ok(())
    }

    fn open_again(&self) -> Result<Database, WriteError> {
        let opened = open(&self.file).and_then(|opened| match opened {
            Some((database, _)) => Ok(database),
            None => make(&self.file),
        });
        opened.map_err(|fault| OpenError { file: self.file.clone(), fault }.into())
    }

    fn failed(&self, error: impl ToString) -> WriteError {
        WriteError::Write { file: self.file.clone(), error: error.to_string() }
    }

    fn database(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file with all its rows; `None` if there is no file.
fn open(file: &Path) -> Result<Option<(Database, Vec<StoredEndpoint>)>, OpenFault> {
    match fs::metadata(file) {
        Ok(found) if found.len() == 0 => return Err(OpenFault::Corrupted("it is empty".to_owned())),
        Ok(_) => {}
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(OpenFault::Folder(error)),
    }
    // redb takes its pages for its own: some of what a disk can do to them makes it panic.
    catch_unwind(AssertUnwindSafe(|| {
        let database = builder().open(file)?;
        let endpoints = read(&database)?;
        Ok(Some((database, endpoints)))
    }))
    .unwrap_or_else(|_| Err(OpenFault::Corrupted("its pages contradict each other".to_owned())))
}

/// No such file, or no such folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_LEN);
    builder
}

fn read(database: &Database) -> Result<Vec<StoredEndpoint>, OpenFault> {
    let (schema, rows) = rows(database).map_err(|error| OpenFault::Corrupted(error.to_string()))?;
    match schema {
        Some(SCHEMA_NOW) => {}
        Some(newer) if newer > SCHEMA_NOW => return Err(OpenFault::Newer(newer)),
        _ => return Err(OpenFault::Corrupted("it is no database of wtn".to_owned())),
    }
    let (count, rows) = rows;
    if count != Some(rows.len() as u64) {
        return Err(OpenFault::Corrupted("rows are missing".to_owned()));
    }
    let read = rows.iter().map(|(name, bytes)| row::read(name, bytes).map_err(OpenFault::Corrupted));
    read.collect()
}

type Rows = (Option<u64>, Vec<(String, Vec<u8>)>);

/// The form, the number of rows that should be there, and the rows; these only where the form is ours.
fn rows(database: &Database) -> Outcome<(Option<u64>, Rows)> {
    let transaction = database.begin_read()?;
    let numbers = transaction.open_table(NUMBERS)?;
    let number = |name| numbers.get(name).map(|found| found.map(|value| value.value()));
    let (schema, count) = (number(SCHEMA)?, number(COUNT)?);
    if schema != Some(SCHEMA_NOW) {
        return Ok((schema, (None, Vec::new())));
    }
    let table = transaction.open_table(ENDPOINTS)?;
    let rows = table.iter()?.map(|row| {
        let (name, bytes) = row?;
        Ok((name.value().to_owned(), bytes.value().to_owned()))
    });
    Ok((schema, (count, rows.collect::<Outcome<_>>()?)))
}

fn write(
    database: &Database,
    change: impl FnOnce(&mut redb::Table<'_, &'static str, &'static [u8]>) -> Result<(), redb::StorageError>,
) -> Outcome<()> {
    let mut transaction = database.begin_write()?;
    // In two phases, and with all that the next start needs: it is quick after a crash too.
    transaction.set_quick_repair(true);
    {
        let mut endpoints = transaction.open_table(ENDPOINTS)?;
        change(&mut endpoints)?;
        let mut numbers = transaction.open_table(NUMBERS)?;
        numbers.insert(SCHEMA, SCHEMA_NOW)?;
        numbers.insert(COUNT, endpoints.len()?)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Makes the file, and the folder if need be. It appears under its name at once and whole: one that a crash
/// left half made would look damaged.
fn make(file: &Path) -> Result<Database, OpenFault> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(OpenFault::Io)?;
    let place = File::open(folder).map_err(OpenFault::Io)?;
    // Only one process makes it. Where a folder cannot be locked, two that start at the same time are on
    // their own.
    let _ = place.lock();
    if file.exists() {
        return Err(OpenFault::InUse);
    }
    let new = folder.join(FILE_NEW);
    match fs::remove_file(&new) {
        Err(error) if !is_absent(&error) => return Err(OpenFault::Io(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let made = options.read(true).write(true).create_new(true).mode(0o600).open(&new);
    let database = builder().create_file(made.map_err(OpenFault::Io)?)?;
    write(&database, |_| Ok(())).map_err(|error| OpenFault::Io(io::Error::other(error)))?;
    fs::rename(&new, file).and_then(|()| place.sync_all()).map_err(OpenFault::Io)?;
    Ok(database)
}
