//! What kind of server answers: its version, its clock, and the differences that follow from the version.

use super::error::THE_FORGE;
use super::transport::{Request, path};
use super::wire::Version;
use super::{Client, Error};
use crate::clock::Timestamp;

/// The first Forgejo that counts for itself.
const FIRST_FORGEJO: u32 = 7;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its version, as it writes it: `1.25.4`, `1.26.0+dev-123-gabc`, `11.0.1+gitea-1.22.0`.
    pub version: String,
    /// When it answered, on its own clock, in whole seconds.
    pub at: Option<Timestamp>,
}

impl Server {
    /// Whether it is a Forgejo. It says so in the build part, after its own version and whatever else stands there
    /// (`7.0.0+LTS-gitea-1.22.0`). A build of one's own may leave that out; then the number tells: Forgejo counts
    /// from 7 on, and Gitea is far from it.
    pub fn is_forgejo(&self) -> bool {
        let build = self.version.split_once('+').map_or("", |(_, build)| build);
        build.contains("gitea-") || self.number().0 >= FIRST_FORGEJO
    }

    /// The server's own major and minor version, on either forge.
    fn number(&self) -> (u32, u32) {
        let mut numbers = self.version.trim_start_matches('v').split(['.', '-', '+']);
        let mut next = || numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        (next(), next())
    }

    /// Whether it is Gitea of this version or a later one; Forgejo counts apart.
    fn is_gitea_since(&self, major: u32, minor: u32) -> bool {
        !self.is_forgejo() && self.number() >= (major, minor)
    }

    /// Whether it never shows the `Authorization` header of a webhook, so that an edit would erase it unseen.
    pub fn hides_authorization(&self) -> bool {
        self.is_gitea_since(1, 27)
    }

    /// Which of the two forges it is, for people.
    pub fn product(&self) -> &'static str {
        if self.is_forgejo() { "Forgejo" } else { "Gitea" }
    }

    /// Its name and version, for people.
    pub fn name(&self) -> String {
        format!("{} {}", self.product(), self.version)
    }

    /// The lines of `app.ini` that let webhooks reach `target`, beside what is reached without them.
    pub fn allowed_hosts(&self, target: &str) -> String {
        let section = if self.is_gitea_since(1, 27) { "security" } else { "webhook" };
        format!("[{section}]\nALLOWED_HOST_LIST = external,{target}")
    }
}

impl Client {
    /// The server's version and clock; needs no permission.
    pub async fn server(&self) -> Result<Server, Error> {
        let answer = self.send(Request::get("version", path(&["version"]))).await?;
        let at = answer.at;
        let server = Server { version: answer.json::<Version>()?.version, at };
        // Fails when it was known already.
        let _ = self.inner.product.set(server.product());
        Ok(server)
    }

    /// Whether the forge has said what it is.
    pub fn is_known(&self) -> bool {
        self.inner.product.get().is_some()
    }

    /// How people call the forge, as far as it has said what it is.
    pub fn product(&self) -> &'static str {
        self.inner.product.get().copied().unwrap_or(THE_FORGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(version: &str) -> Server {
        Server { version: version.to_owned(), at: None }
    }

    #[test]
    fn versions_are_read_with_whatever_hangs_on_them() {
        for old in ["1.22.0", "1.25.4", "1.26.0+dev-123-gabc", "11.0.1+gitea-1.22.0", "nonsense"] {
            assert!(!server(old).hides_authorization(), "{old}");
            assert!(server(old).allowed_hosts("loopback").starts_with("[webhook]"), "{old}");
        }
        for new in ["1.27.1", "v1.27.0", "1.28.0+dev-5-gabc", "2.0.0"] {
            assert!(server(new).hides_authorization(), "{new}");
            assert!(server(new).allowed_hosts("loopback").starts_with("[security]"), "{new}");
        }
    }

    #[test]
    fn the_two_forges_are_told_apart() {
        assert_eq!(server("1.25.4").name(), "Gitea 1.25.4");
        for forgejo in [
            "11.0.1+gitea-1.22.0",
            "7.0.0+LTS-gitea-1.22.0",
            "11.0.1-dev-100-abc+gitea-1.27.0",
            "15.0.3",
            "v8.0.0-test",
        ] {
            assert_eq!(server(forgejo).name(), format!("Forgejo {forgejo}"));
            assert!(!server(forgejo).hides_authorization(), "{forgejo}");
            assert!(server(forgejo).allowed_hosts("loopback").starts_with("[webhook]"));
        }
        for gitea in ["1.22.0", "1.26.0+dev-123-gabc", "my-gitea-1.27.1", "2.0.0", "nonsense"] {
            assert_eq!(server(gitea).name(), format!("Gitea {gitea}"));
        }
    }
}
