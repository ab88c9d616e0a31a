//! The publish key of a first start: made once, kept in the data folder for its owner alone.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use wtn::config::{Config, Secret};

const FILE: &str = "publish.key";

/// A key and where it lives.
#[derive(Debug)]
pub struct KeptKey {
    pub key: Secret,
    /// `Err`: nowhere, it is gone with the process; and why.
    pub file: Result<PathBuf, String>,
}

/// The key of the data folder; makes one if there is none.
pub fn of_first_start(config: &Config) -> KeptKey {
    let Some(folder) = data_folder(config) else {
        return ephemeral("there is no home folder to keep it in; set data_dir".to_owned());
    };
    let file = folder.join(FILE);
    match kept(&file) {
        Ok(key) => KeptKey { key, file: Ok(file) },
        Err(error) => ephemeral(format!("{}: {error}", file.display())),
    }
}

fn ephemeral(why: String) -> KeptKey {
    KeptKey { key: fresh(), file: Err(why) }
}

/// Where this host keeps what the server has to remember; `None` without a home.
pub fn data_folder(config: &Config) -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data_home = || absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    config.data_dir.clone().or_else(|| Some(data_home()?.join("wtn")))
}

fn kept(file: &Path) -> io::Result<Secret> {
    match fs::read_to_string(file) {
        Ok(text) => Secret::new(text.trim()).ok_or_else(|| io::Error::other("there is no key in it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(file),
        Err(error) => Err(error),
    }
}

fn make(file: &Path) -> io::Result<Secret> {
    let key = fresh();
    if let Some(folder) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    writeln!(made?, "{}", key.reveal())?;
    Ok(key)
}

fn fresh() -> Secret {
    Secret::new(&wtn_store::fresh_secret()).expect("letters and dashes")
}
