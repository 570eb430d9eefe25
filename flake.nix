# `nix run .` and `nix develop`; the version is that of Cargo.toml.
{
  description = "Issue triage and dispatch for Gitea and Forgejo";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      manifest = (builtins.fromTOML (builtins.readFile ./Cargo.toml)).package;
    in
    {
      packages = each (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          # The tests need servers, shells and browsers: `.ci/run` has them.
          doCheck = false;
          nativeBuildInputs = [ pkgs.installShellFiles ];
          postInstall = ''
            $out/bin/gitea-triage man "$TMPDIR/man1"
            installManPage "$TMPDIR"/man1/* "$TMPDIR"/man5/*
            installShellCompletion --cmd gitea-triage \
              --bash <($out/bin/gitea-triage completions bash) \
              --zsh <($out/bin/gitea-triage completions zsh) \
              --fish <($out/bin/gitea-triage completions fish)
          '';
          meta = {
            inherit (manifest) description;
            homepage = manifest.repository;
            license = with pkgs.lib.licenses; [ mit asl20 ];
            mainProgram = manifest.name;
            platforms = systems;
          };
        };
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell { packages = [ pkgs.cargo pkgs.rustc pkgs.clippy pkgs.rustfmt ]; };
      });
    };
}
