//! The files that `init` writes: each whole or not at all, none over one that exists unless told, and for the user alone. At the
//! place of the installed service, the configuration, which holds no secret, may be read by the account of that service.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::super::Failure;
use super::draft::Draft;
use crate::config::PLACES;

/// The configuration that packages bring, for somebody to fill in.
const AS_SHIPPED: &str = include_str!("../../../deploy/gitea-triage.toml");
/// For the user alone, as temporary files are.
const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;

/// Where everything goes.
pub(super) struct Files {
    /// The configuration.
    pub config: PathBuf,
    /// The file with the token.
    pub token: PathBuf,
    /// Whether the token is in a file already.
    pub has_token: bool,
    secret: PathBuf,
}

impl Files {
    /// The configuration, and what stands beside it. `token` is the file of a token that is there already.
    pub fn new(config: &Path, token: Option<PathBuf>) -> Result<Self, Failure> {
        let folder = folder(config);
        if !folder.is_dir() {
            let text = format!("there is no folder `{}`; create it first", folder.display());
            return Err(Failure::Usage(text));
        }
        let beside = config.with_file_name("gitea-token");
        // What is read once only, such as a pipe, cannot be named in the configuration; and the unit passes one file on.
        let is_kept = |file: &PathBuf| {
            file.is_file()
                && (!is_of_service(config)
                    || file.canonicalize().ok() == beside.canonicalize().ok())
        };
        let token = token.filter(is_kept);
        Ok(Self {
            config: config.to_owned(),
            has_token: token.is_some(),
            token: token.unwrap_or(beside),
            secret: config.with_file_name("webhook-secret"),
        })
    }

    /// Whether the configuration is that of the installed service, which runs under an account of its own.
    pub fn are_of_service(&self) -> bool {
        is_of_service(&self.config)
    }

    /// The database of the installed service; elsewhere one beside the configuration, wherever the service is started.
    pub fn store(&self) -> String {
        if self.are_of_service() {
            return "sqlite:/var/lib/gitea-triage/gitea-triage.db".to_owned();
        }
        let folder = folder(&self.config);
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        format!("sqlite:{}", folder.join("gitea-triage.db").display())
    }

    /// # Errors
    /// When something is there already.
    pub fn may_be_written(&self, force: bool) -> Result<(), Failure> {
        let is_there = |file: &String| {
            Path::new(file).exists() && !(Path::new(file) == self.config && self.is_as_shipped())
        };
        let there: Vec<_> = self.written().into_iter().filter(is_there).collect();
        match there.as_slice() {
            [] => Ok(()),
            _ if force => Ok(()),
            files => Err(Failure::Usage(format!(
                "`{}` exists already, and nothing was changed; name another configuration with `--config`, or overwrite \
                 with `--force`",
                files.join("`, `")
            ))),
        }
    }

    /// The files that are written.
    pub fn written(&self) -> Vec<String> {
        let token = Some(&self.token).filter(|_| !self.has_token);
        let all = [Some(&self.config), token, Some(&self.secret)];
        all.into_iter().flatten().map(|file| file.display().to_string()).collect()
    }

    /// Writes them, the configuration last: a service that finds it finds the others.
    pub fn write(&self, draft: &Draft, force: bool) -> Result<(), Failure> {
        let token = self.named(&self.token)?;
        if !self.has_token {
            write(&self.token, &format!("{}\n", draft.token.expose_secret()), PRIVATE, force)?;
        }
        // 244 random bits.
        let secret = format!("{}{}\n", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        write(&self.secret, &secret, PRIVATE, force)?;
        let mode = if self.are_of_service() { PUBLIC } else { PRIVATE };
        let force = force || self.is_as_shipped();
        write(&self.config, &draft.file(&token, "webhook-secret"), mode, force)
    }

    /// Whether nobody has filled in yet what a package brought.
    fn is_as_shipped(&self) -> bool {
        std::fs::read(&self.config).is_ok_and(|there| there == AS_SHIPPED.as_bytes())
    }

    /// The file as the configuration names it, which starts in its own folder.
    fn named(&self, file: &Path) -> Result<String, Failure> {
        if folder(file) == folder(&self.config) {
            return Ok(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
        let cannot = || format!("`{}` cannot be found", file.display());
        Ok(file.canonicalize().with_context(cannot)?.display().to_string())
    }
}

fn folder(file: &Path) -> &Path {
    let folder = file.parent().unwrap_or(Path::new(""));
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn is_of_service(config: &Path) -> bool {
    let place = Path::new(PLACES[1]);
    let is_there =
        || Some(folder(config).canonicalize().ok()? == folder(place).canonicalize().ok()?);
    config.file_name() == place.file_name() && is_there().unwrap_or(false)
}

fn write(file: &Path, text: &str, mode: u32, force: bool) -> Result<(), Failure> {
    let cannot = || format!("`{}` cannot be written", file.display());
    let mut new = NamedTempFile::new_in(folder(file)).with_context(cannot)?;
    new.write_all(text.as_bytes()).with_context(cannot)?;
    new.as_file().set_permissions(Permissions::from_mode(mode)).with_context(cannot)?;
    new.as_file().sync_all().with_context(cannot)?;
    match force {
        true => new.persist(file).with_context(cannot)?,
        false => new.persist_noclobber(file).with_context(cannot)?,
    };
    Ok(())
}
