//! Connections that are encrypted, to a server that has to show who it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{Cluster, not_tried};

const PASSWORD: &str = "the-password-of-the-test";

/// Makes keys and certificates in a folder.
struct Authority<'a> {
    folder: &'a Path,
    name: &'static str,
}

impl<'a> Authority<'a> {
    /// None where there is no `openssl`.
    fn new(folder: &'a Path, name: &'static str) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            not_tried("encrypted connections: no `openssl`");
            return None;
        }
        let authority = Self { folder, name };
        std::fs::write(folder.join("empty"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
        authority.make(name, &["basicConstraints=critical,CA:TRUE", "keyUsage=keyCertSign"], &[]);
        Some(authority)
    }

    /// Makes a key, and a certificate for the server of that name.
    fn certify(&self, host: &str) -> (PathBuf, PathBuf) {
        let (mine, my_key) = (self.path(self.name, "crt"), self.path(self.name, "key"));
        let by = ["-CA", mine.to_str().unwrap(), "-CAkey", my_key.to_str().unwrap()];
        self.make("server", &[&format!("subjectAltName=DNS:{host}")], &by);
        (self.path("server", "crt"), self.path("server", "key"))
    }

    fn make(&self, name: &str, extensions: &[&str], by: &[&str]) {
        let (certificate, key) = (self.path(name, "crt"), self.path(name, "key"));
        let kind = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
        let mut openssl = Command::new("openssl");
        openssl.arg("req").args(kind.split(' ')).args(["-subj", &format!("/CN={name}")]).args(by);
        openssl.arg("-config").arg(self.folder.join("empty"));
        extensions.iter().for_each(|extension| {
            openssl.args(["-addext", extension]);
        });
        openssl.arg("-out").arg(certificate).arg("-keyout").arg(key);
        let made = openssl.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    fn path(&self, name: &str, end: &str) -> PathBuf {
        self.folder.join(format!("{name}.{end}"))
    }
}

/// A server that takes only encrypted connections with a password, as `localhost`.
fn server(authority: &Authority<'_>) -> Option<Cluster> {
    let (certificate, key) = authority.certify("localhost");
    let cluster = Cluster::make(|cluster| {
        let data = cluster.folder().join("data");
        for (from, to) in [(certificate, "server.crt"), (key, "server.key")] {
            let to = data.join(to);
            std::fs::copy(from, &to).unwrap();
            std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .unwrap();
            cluster.hand_over(&to);
        }
        let rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
    })?;
    let cluster = cluster.started(&["ssl=on"]);
    cluster.run(&[&format!("ALTER ROLE triage PASSWORD '{PASSWORD}'")]);
    Some(cluster)
}

/// Whether the program reads its store, and what it says.
fn inbox(folder: &Path, url: &str, password: &str, authority: &Path) -> (bool, String) {
    let (file, secret) = (folder.join("config.toml"), folder.join("password"));
    std::fs::write(&secret, password).unwrap();
    let config = format!(
        "[gitea]\nurl = 'http://127.0.0.1:9'\ntoken = 'a-token'\nrepos = ['acme/*']\n[webhook]\nsecrets = ['a-secret-of-the-tests']\n\
         [store]\nurl = '{url}'\npassword_file = '{}'\n",
        secret.display()
    );
    std::fs::write(&file, config).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_gitea-triage"));
    program.env_clear().env("SSL_CERT_FILE", authority).arg("--config").arg(file);
    let output = program.args(["inbox", "list"]).output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.success(), said.concat())
}

#[test]
#[ignore = "needs PostgreSQL's own programs, as the others here"]
fn a_server_is_only_talked_to_when_it_is_the_one_that_was_meant() {
    let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(authority) = Authority::new(folder.path(), "authority") else { return };
    let other = Authority::new(others.path(), "another").unwrap().path("another", "crt");
    let Some(cluster) = server(&authority) else { return };
    let trusted = authority.path("authority", "crt");
    let url = |host: &str, mode| {
        format!("postgres://triage@{host}:{}/postgres?sslmode={mode}", cluster.port)
    };
    let right = url("localhost", "require");
    for url in [&right, &url("localhost", "prefer")] {
        let (is_read, said) = inbox(folder.path(), url, PASSWORD, &trusted);
        assert!(is_read, "{url}: {said}");
    }
    for (url, password, trusted, cure) in [
        (&url("127.0.0.1", "require"), PASSWORD, &trusted, "stands in its certificate"),
        (&right, PASSWORD, &other, "SSL_CERT_FILE"),
        (&right, "another-password", &trusted, "store.password_file"),
        (&url("localhost", "disable"), PASSWORD, &trusted, "sslmode"),
    ] {
        let (is_read, said) = inbox(folder.path(), url, password, trusted);
        assert!(!is_read && said.contains(cure), "{url}: {said}");
        assert!(!said.contains(password), "{url}: {said}");
    }
}
