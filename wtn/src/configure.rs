//! `wtn config`: what the configuration says, whether it is right, and a file to begin with.

use crate::exit::{self, FAILED, Failure};
use clap::{Args, Subcommand};
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use wtn::config::{self, Loaded};

const EXAMPLES: &str = "\
Examples:
  wtn config init --out wtn.toml
  wtn config check --config wtn.toml
  wtn config show --origin --config wtn.toml --set streams.grace_seconds=30
  wtn config schema > wtn.schema.json

`check` exits with 78 if anything is wrong, and says all of it.
";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say everything that is wrong with the configuration, or that nothing is.
    Check {
        #[command(flatten)]
        sources: Sources,
    },
    /// Print every value that a server would work by, as TOML, without secrets.
    Show {
        #[command(flatten)]
        sources: Sources,
        /// Say of every value where it comes from.
        #[arg(long)]
        origin: bool,
    },
    /// Print a file to begin with: every key, what it does, and its default.
    Init {
        /// Write it to this file, which must not exist yet.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the JSON Schema of the file, for editors.
    Schema,
}

/// Where values come from, besides the environment.
#[derive(Args, Debug)]
struct Sources {
    /// Read this configuration file (TOML).
    #[arg(long, value_name = "FILE", env = "WTN_CONFIG")]
    config: Option<PathBuf>,
    /// Set one key of the configuration; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    match &args.verb {
        Verb::Check { sources } => check(sources),
        Verb::Show { sources, origin } => {
            let loaded = Loaded::load(sources.config.as_deref(), &sources.set)?;
            exit::print(loaded.to_toml(*origin));
            Ok(())
        }
        Verb::Init { out: None } => {
            exit::print(config::starting_file());
            Ok(())
        }
        Verb::Init { out: Some(file) } => init(file),
        Verb::Schema => {
            let text = serde_json::to_string_pretty(&config::schema());
            exit::print(format_args!("{}\n", text.map_err(|error| Failure::new(FAILED, error))?));
            Ok(())
        }
    }
}

fn check(sources: &Sources) -> Result<(), Failure> {
    let loaded = Loaded::load(sources.config.as_deref(), &sources.set)?;
    let what = match &sources.config {
        Some(file) => file.display().to_string(),
        None => "the configuration (no file)".to_owned(),
    };
    exit::print(format_args!("{what} is right: {}\n", loaded.summary()));
    Ok(())
}

fn init(file: &Path) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).open(file);
    let written = made.and_then(|mut out| out.write_all(config::starting_file().as_bytes()));
    written.map_err(|error| {
        let file = file.display();
        Failure::new(
            FAILED,
            match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    format!("{file} is there already, and is not written over; name another file")
                }
                _ => format!("{file} cannot be written: {error}"),
            },
        )
    })?;
    exit::print(format_args!("{} is written; start with: wtn --config {0}\n", file.display()));
    Ok(())
}
