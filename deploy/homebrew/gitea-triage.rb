# Homebrew on Linux. `cargo xtask version --write --sums SHA256SUMS` writes version and digests after a release.
class GiteaTriage < Formula
  desc "Issue triage and dispatch for Gitea and Forgejo"
  homepage "https://gitea-triage.invalid/gitea-triage/gitea-triage"
  version "0.1.0"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on :linux

  on_intel do
    url "#{homepage}/releases/download/v#{version}/gitea-triage-#{version}-x86_64-unknown-linux-musl.tar.gz"
    sha256 "0000000000000000000000000000000000000000000000000000000000000000" # x86_64-unknown-linux-musl
  end
  on_arm do
    url "#{homepage}/releases/download/v#{version}/gitea-triage-#{version}-aarch64-unknown-linux-musl.tar.gz"
    sha256 "0000000000000000000000000000000000000000000000000000000000000000" # aarch64-unknown-linux-musl
  end

  def install
    bin.install "gitea-triage"
    man1.install Dir["man/man1/*"]
    man5.install Dir["man/man5/*"]
    bash_completion.install "completions/gitea-triage"
    zsh_completion.install "completions/_gitea-triage"
    fish_completion.install "completions/gitea-triage.fish"
    pkgshare.install "deploy"
  end

  service do
    run [opt_bin/"gitea-triage", "--config", etc/"gitea-triage/gitea-triage.toml", "serve"]
    keep_alive successful_exit: false
    working_dir var/"lib/gitea-triage"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/gitea-triage --version")
  end
end
