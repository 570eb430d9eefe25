//! What `deploy/` copies, replaces and configures stands where it says.

use gitea_triage::config::Config;

use crate::book::root;

/// The configuration in each manifest for Kubernetes is one that the program takes.
#[test]
fn the_configurations_in_the_manifests_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    for secret in ["gitea-token", "webhook-secret", "database-password"] {
        std::fs::write(folder.path().join(secret), "a-secret-of-the-tests-of-a-manifest").unwrap();
    }
    for manifest in ["gitea-triage.yaml", "replicas.yaml"] {
        let path = root().join("deploy/kubernetes").join(manifest);
        let text = std::fs::read_to_string(path).unwrap();
        let (_, rest) = text.split_once("gitea-triage.toml: |\n").unwrap();
        let block: Vec<_> = rest.lines().map_while(|line| line.strip_prefix("    ")).collect();
        let secrets = folder.path().display().to_string();
        let block = block.join("\n").replace("/run/secrets/gitea-triage", &secrets);
        let config = Config::from_toml(manifest, &block, std::iter::empty());
        let config = config.unwrap_or_else(|error| panic!("{manifest}: {error}"));
        assert_eq!(config.server.listen, "0.0.0.0:8484");
    }
}

/// The compose file puts other names into the site of several replicas.
#[test]
fn what_the_compose_file_replaces_stands_in_the_site() {
    let read = |path: &str| std::fs::read_to_string(root().join("deploy").join(path)).unwrap();
    let (compose, site) = (read("docker/replicas.yaml"), read("caddy/replicas.Caddyfile"));
    for text in ["triage.example.com {", "127.0.0.1:8484 127.0.0.1:8485"] {
        assert!(compose.contains(text) && site.contains(text), "{text}");
    }
}

/// The image is built from folders that are copied one by one.
#[test]
fn the_image_is_built_with_every_folder_that_the_manifest_names() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let image = read("deploy/docker/Dockerfile");
    for (kind, folder) in [("test", "tests"), ("bench", "benches")] {
        let is_named =
            manifest.get(kind).is_some_and(|targets| !targets.as_array().unwrap().is_empty());
        assert!(!is_named || image.contains(&format!("COPY {folder} {folder}\n")), "{folder}");
    }
    // What the program has built in, and is beside its source.
    let package = manifest["package"].as_table().unwrap();
    let included = package["include"].as_array().unwrap().iter().filter_map(|one| one.as_str());
    let built = included.filter(|one| one.starts_with("/deploy/")).map(|one| &one[1..]);
    let built: Vec<_> = built.chain(["src", "templates", "fixtures"]).collect();
    assert!(built.len() > 3, "{built:?}");
    for path in built {
        assert!(image.contains(&format!("COPY {path} {path}\n")), "{path}");
    }
}
