//! The image, unpacked by hand and started as an engine would.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::dist::{Dist, run};

const PATIENCE: Duration = Duration::from_secs(20);

/// With the user, the environment, the command and the health check that it names, on a read-only root.
pub fn serves(dist: &Dist) {
    let folder = tempfile::tempdir().unwrap();
    let image = dist.file(".oci.tar");
    run(folder.path(), &["tar", "xf", image.to_str().unwrap()]);
    let index = json(folder.path(), "index.json");
    let manifest = json(folder.path(), &blob(&index["manifests"][0]));
    let config = json(folder.path(), &blob(&manifest["config"]));
    let root = tempfile::tempdir().unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let layer = folder.path().join(blob(layer));
        let layer = layer.to_str().unwrap();
        let owned = run(folder.path(), &["tar", "tzvf", layer, "--numeric-owner"]);
        let home = owned.lines().find(|line| line.ends_with(" var/lib/gitea-triage/")).unwrap();
        assert!(home.starts_with("drwx------ 10484/10484 "), "{home}");
        run(root.path(), &["tar", "xzf", layer, "--no-same-owner"]);
    }
    // An engine makes these.
    for folder in ["dev", "proc"] {
        std::fs::create_dir(root.path().join(folder)).unwrap();
    }
    assert_eq!(config["config"]["User"], "10484");
    let container = Container { root: root.path(), config: &config["config"], port: free_port() };
    let command =
        [words(&config["config"]["Entrypoint"]), words(&config["config"]["Cmd"])].concat();
    let mut service = Running(container.command(&command).spawn().unwrap());
    let check = words(&config["config"]["Healthcheck"]["Test"]);
    assert_eq!(check[0], "CMD");
    let began = Instant::now();
    // Says that nobody answers until somebody does. Each look starts a program, which is pause enough.
    while !container.command(&check[1..]).status().unwrap().success() {
        assert!(service.0.try_wait().unwrap().is_none(), "it has ended");
        assert!(began.elapsed() < PATIENCE, "it does not get healthy");
    }
    println!("healthy after {} ms", began.elapsed().as_millis());
    assert!(root.path().join("var/lib/gitea-triage/gitea-triage.db").exists());
}

/// How the image is run.
struct Container<'a> {
    root: &'a Path,
    config: &'a Value,
    port: u16,
}

impl Container<'_> {
    fn command(&self, words: &[String]) -> Command {
        let home = self.config["WorkingDir"].as_str().unwrap();
        let mut command = Command::new("bwrap");
        command.args(["--unshare-user", "--uid", "10484", "--gid", "10484", "--unshare-pid"]);
        command.args(["--die-with-parent", "--clearenv", "--ro-bind"]).arg(self.root).arg("/");
        command.args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind"]);
        command.arg(self.root.join(&home[1..])).arg(home).args(["--chdir", home]);
        let mut variables: Vec<String> = self::words(&self.config["Env"]);
        variables.extend([
            // A container has an address of its own; this one shares that of the machine.
            format!("GITEA_TRIAGE__SERVER__LISTEN=127.0.0.1:{}", self.port),
            "GITEA_TRIAGE__GITEA__URL=http://127.0.0.1:9".to_owned(),
            "GITEA_TRIAGE__GITEA__TOKEN=0123456789abcdef".to_owned(),
            "GITEA_TRIAGE__GITEA__REPOS=acme/widgets".to_owned(),
            "GITEA_TRIAGE__WEBHOOK__SECRETS=[\"0123456789abcdef\"]".to_owned(),
        ]);
        for variable in &variables {
            let (name, value) = variable.split_once('=').unwrap();
            command.args(["--setenv", name, value]);
        }
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

/// Killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn json(folder: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

fn blob(described: &Value) -> String {
    described["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/")
}

fn words(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}
