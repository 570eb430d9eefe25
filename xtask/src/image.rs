//! The container image, as an archive of an OCI layout: the static program, certificates, a user. No engine makes it;
//! `docker load`, `podman load` and `skopeo copy oci-archive:` read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use serde_json::{Value, json};

use crate::contents::Contents;
use crate::digests::sha256;
use crate::dist::Release;
use crate::project::{Commit, NAME, Project, Target};
use crate::tree::{Tree, gzip};

/// The user of the service in the image, as in `deploy/docker/Dockerfile`.
const USER: u64 = 10484;
const HOME: &str = "/var/lib/gitea-triage";
const PROGRAM: &str = "/usr/bin/gitea-triage";
const SECOND: u64 = 1_000_000_000;

/// The image with the name of its file.
pub fn pack(release: &Release) -> anyhow::Result<(String, Vec<u8>)> {
    let Release { project, commit, target, contents, .. } = release;
    let layer = files(contents).tar("", commit.seconds())?;
    let packed = gzip(&layer)?;
    let config = config(project, commit, target, &sha256(&layer)).to_string();
    let described = |kind: &str, bytes: &[u8]| {
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": kind, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
    };
    let labels = labels(project, commit);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("config.v1+json", config.as_bytes()),
        "layers": [described("layer.v1.tar+gzip", &packed)],
        "annotations": labels,
    })
    .to_string();
    let name = format!("{NAME}:{}", project.version);
    let mut entry = described("manifest.v1+json", manifest.as_bytes());
    entry["platform"] = json!({"os": "linux", "architecture": target.architecture()});
    entry["annotations"] = json!({
        "org.opencontainers.image.ref.name": project.version,
        "io.containerd.image.name": format!("docker.io/library/{name}"),
    });
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry],
    });
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
    // What an engine reads that knows no OCI layout.
    let older = json!([{
        "Config": blob(config.as_bytes()), "RepoTags": [name], "Layers": [blob(&packed)],
    }]);
    let mut layout = Tree::default();
    layout.add("oci-layout", 0o644, json!({"imageLayoutVersion": "1.0.0"}).to_string());
    layout.add("index.json", 0o644, index.to_string());
    layout.add("manifest.json", 0o644, older.to_string());
    for bytes in [config.as_bytes(), manifest.as_bytes(), packed.as_slice()] {
        layout.add(blob(bytes), 0o644, bytes);
    }
    let file = format!("{NAME}-{}-{}.oci.tar", project.version, target.architecture());
    Ok((file, layout.tar("", commit.seconds())?))
}

/// What is in the image.
fn files(contents: &Contents) -> Tree {
    let mut tree = Tree::default();
    tree.add(&PROGRAM[1..], 0o755, contents.program.as_slice());
    tree.add("etc/ssl/certs/ca-certificates.crt", 0o644, certificates());
    let user = format!("{NAME}:x:{USER}:{USER}::{HOME}:/sbin/nologin\n");
    tree.add("etc/passwd", 0o644, format!("root:x:0:0:root:/:/sbin/nologin\n{user}"));
    tree.add("etc/group", 0o644, format!("root:x:0:\n{NAME}:x:{USER}:\n"));
    for (path, bytes) in contents.texts.files().filter(|(path, _)| !path.contains('/')) {
        tree.add(format!("usr/share/doc/{NAME}/{path}"), 0o644, bytes);
    }
    tree.add_folder(&HOME[1..], 0o700, USER);
    tree.add_folder("tmp", 0o1777, 0);
    tree
}

/// The authorities that Mozilla trusts, so that the image does not depend on what this machine does. The program reads
/// them from this file, as on any other system.
fn certificates() -> String {
    let authority = |der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line) + "\n");
        let lines: String = lines.collect();
        format!("-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n")
    };
    let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    all.map(|der| authority(der.as_ref())).collect()
}

fn labels(project: &Project, commit: &Commit) -> Value {
    json!({
        "org.opencontainers.image.created": commit.time.to_rfc3339_opts(SecondsFormat::Secs, true),
        "org.opencontainers.image.description": project.description,
        "org.opencontainers.image.licenses": project.license,
        "org.opencontainers.image.revision": commit.id,
        "org.opencontainers.image.source": project.repository,
        "org.opencontainers.image.title": NAME,
        "org.opencontainers.image.version": project.version,
    })
}

/// How the image is started, as in `deploy/docker/Dockerfile`. `Healthcheck` is none of OCI's keys: BuildKit writes it
/// there, and the engines read it.
fn config(project: &Project, commit: &Commit, target: &Target, layer: &str) -> Value {
    let created = commit.time.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "created": created,
        "architecture": target.architecture(),
        "os": "linux",
        "config": {
            "User": USER.to_string(),
            "WorkingDir": HOME,
            "Volumes": {HOME: {}},
            "Env": [
                "PATH=/usr/bin",
                "GITEA_TRIAGE__SERVER__LISTEN=0.0.0.0:8484",
                format!("GITEA_TRIAGE__STORE__URL=sqlite:{HOME}/gitea-triage.db"),
            ],
            "ExposedPorts": {"8484/tcp": {}},
            "StopSignal": "SIGTERM",
            "Healthcheck": {
                "Test": ["CMD", PROGRAM, "healthcheck"],
                "Interval": 30 * SECOND, "Timeout": 3 * SECOND, "StartPeriod": 5 * SECOND,
            },
            "Entrypoint": [PROGRAM],
            "Cmd": ["serve"],
            "Labels": labels(project, commit),
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        "history": [{"created": created, "created_by": "cargo xtask dist"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::root;

    #[test]
    fn the_image_is_started_as_the_one_of_the_dockerfile() {
        let file = std::fs::read_to_string(root().join("deploy/docker/Dockerfile")).unwrap();
        let project = Project::read().unwrap();
        let commit = Commit { id: String::new(), time: chrono::DateTime::UNIX_EPOCH };
        let target = Target("x86_64-unknown-linux-musl".to_owned());
        let started = &config(&project, &commit, &target, "")["config"];
        let health =
            format!("CMD {}", json!(started["Healthcheck"]["Test"].as_array().unwrap()[1..]));
        for line in [
            format!("USER {}", started["User"].as_str().unwrap()),
            format!("WORKDIR {HOME}"),
            format!("VOLUME {HOME}"),
            "EXPOSE 8484".to_owned(),
            format!("STOPSIGNAL {}", started["StopSignal"].as_str().unwrap()),
            format!("ENTRYPOINT {}", started["Entrypoint"]),
            format!("CMD {}", started["Cmd"]),
            format!("--interval=30s --timeout=3s --start-period=5s {health}").replace(',', ", "),
        ] {
            assert!(file.contains(&line), "{line}");
        }
        for variable in &started["Env"].as_array().unwrap()[1..] {
            assert!(file.contains(variable.as_str().unwrap()), "{variable}");
        }
    }

    #[test]
    fn the_certificates_can_be_read() {
        let text = certificates();
        assert!(text.matches("BEGIN CERTIFICATE").count() > 100);
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
