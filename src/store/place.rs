//! Where a store is: in a file of its own, or in a database of a PostgreSQL server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::SecretString;

use super::engine::{Connection, Listener, Server, Sqlite, open_error};
use super::{Error, OpenMode};

/// Where a store is.
#[derive(Clone)]
pub struct Place(Kind);

#[derive(Clone)]
enum Kind {
    /// A file, made where there is none.
    File(PathBuf),
    Server(Server),
}

impl Place {
    /// Where a text says that the store is, with the password that a server wants.
    ///
    /// # Errors
    /// When the text says something else, or the password is for a file.
    pub fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
            if password.is_some() {
                return Err("a file has no password; take out `store.password`".to_owned());
            }
            return Ok(Self(Kind::File(PathBuf::from(path))));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Server::parse(url, password).map(Kind::Server).map(Self);
        }
        Err("write `sqlite:` and the path of a file, or `postgres://user@host/database`".to_owned())
    }

    /// The connection that writes.
    pub(super) fn writer(&self, how: OpenMode) -> Result<Connection, Error> {
        match &self.0 {
            Kind::File(path) => Sqlite::writer(path).map(Connection::Sqlite),
            Kind::Server(server) => Ok(Connection::Postgres(Box::new(server.session(how)))),
        }
    }

    /// A connection that only reads.
    pub(super) fn reader(&self) -> Result<Connection, Error> {
        match &self.0 {
            Kind::File(path) => Sqlite::reader(path).map(Connection::Sqlite),
            Kind::Server(server) => {
                Ok(Connection::Postgres(Box::new(server.session(OpenMode::Shared))))
            }
        }
    }

    /// A connection that hears what others write, of the service with this number.
    pub(super) fn listen(&self, service: i64) -> Result<Listener, Error> {
        match &self.0 {
            Kind::File(_) => Err(Error::Elsewhere),
            Kind::Server(server) => server.listen(service),
        }
    }

    /// What tells it apart from other places: of a file the whole path, of a server also the options, which may name a
    /// schema there. Without any password.
    pub(super) fn identity(&self) -> String {
        match &self.0 {
            Kind::File(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                format!("sqlite:{}", path.display())
            }
            Kind::Server(server) => server.identity(),
        }
    }

    /// That it cannot be opened.
    pub(super) fn error(&self, reason: impl fmt::Display) -> Error {
        match &self.0 {
            Kind::File(path) => open_error(path, reason),
            Kind::Server(_) => {
                Error::Server { place: self.to_string(), reason: reason.to_string() }
            }
        }
    }

    /// The same by what was met there, unless that says enough.
    pub(super) fn refused(&self, error: Error) -> Error {
        match error {
            Error::InUse(_) => error,
            other => self.error(other.reason()),
        }
    }

    /// Whether it makes sense to look for a store there: of a file, whether it is there.
    pub fn may_be_there(&self) -> bool {
        self.file().is_none_or(Path::exists)
    }

    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Kind::File(path) => Some(path),
            Kind::Server(_) => None,
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self(Kind::File(path.to_owned()))
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self(Kind::File(path.clone()))
    }
}

/// `sqlite:` and a path, or `postgres://`.
impl FromStr for Place {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        Self::parse(url, None)
    }
}

/// Without any password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::File(path) => write!(f, "{}", path.display()),
            Kind::Server(server) => write!(f, "{server}"),
        }
    }
}
