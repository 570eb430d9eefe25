# Run by package.rs in a mount namespace of its own: sh package.sh LAYER OLD NEW
# Prints for each phase what systemctl was asked for and which files are there that this machine does not have.
set -eu
layer=$1 old=$2 new=$3

mount -t tmpfs layer "$layer"
root=$layer/root
mkdir "$layer/upper" "$layer/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
for folder in proc dev sys; do
    mount --rbind "/$folder" "$root/$folder"
done
mount -t tmpfs run "$root/run"
mount -t tmpfs tmp "$root/tmp"
# As on a machine that systemd runs; what would be asked of it is only written down.
mkdir -p "$root/run/systemd/system"
cat >"$root/usr/bin/systemctl" <<'END'
#!/bin/sh
echo "systemctl $*" >>/tmp/calls
END
printf '#!/bin/sh\nexit 0\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/bin/systemctl" "$root/usr/sbin/policy-rc.d"
cp "$old" "$root/tmp/old.deb"
cp "$new" "$root/tmp/new.deb"

phase() {
    echo "== $1"
    shift
    : >"$root/tmp/calls"
    DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" dpkg "$@" >"$layer/log" 2>&1 || {
        cat "$layer/log" >&2
        exit 1
    }
    cat "$root/tmp/calls"
    # What was taken away is a device there. A folder that this machine has as well is only there for what was in it.
    (cd "$layer/upper" && find . ! -type d ! -type c -o -type d -empty) | sort | while read -r path; do
        [ -d "$layer/upper/$path" ] && [ -d "/$path" ] || echo "there: $path"
    done
}

phase install --install /tmp/old.deb
# What a person and the running service make of it.
echo 0123456789abcdef0123456789abcdef01234567 >"$root/tmp/token"
inside() {
    chroot "$root" env --ignore-environment PATH=/usr/bin:/bin LC_ALL=C "$@"
}
etc=/etc/gitea-triage
echo '== configure'
inside gitea-triage init --yes --offline --config $etc/gitea-triage.toml --url https://gitea.example.com \
    --token-file /tmp/token --repo acme/widgets | sed 's/^/said: /'
inside stat --format 'mode: %a %n' $etc/gitea-triage.toml $etc/gitea-token $etc/webhook-secret
# As the unit starts it: an account of its own, and the secrets as credentials.
mkdir "$root/tmp/credentials"
cp "$root$etc/gitea-token" "$root$etc/webhook-secret" "$root/tmp/credentials"
chown -R 65534 "$root/tmp/credentials"
sed -n "s/^Environment='\{0,1\}\(GITEA_TRIAGE__[^']*\)'\{0,1\}$/\1/p" "$root/usr/lib/systemd/system/gitea-triage.service" |
    sed 's|%d|/tmp/credentials|' >"$layer/environment"
set --
while read -r line; do
    set -- "$@" "$line"
done <"$layer/environment"
chroot --userspec=65534:65534 "$root" env --ignore-environment "$@" gitea-triage --config $etc/gitea-triage.toml \
    config show | sed 's/^/shown: /'
mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/var/lib/private/gitea-triage" \
    "$root/var/lib/gitea-triage-runner"
ln -s /lib/systemd/system/gitea-triage.service "$root/etc/systemd/system/multi-user.target.wants/gitea-triage.service"
ln -s private/gitea-triage "$root/var/lib/gitea-triage"
echo store >"$root/var/lib/private/gitea-triage/gitea-triage.db"
phase upgrade --install /tmp/new.deb
phase remove --remove gitea-triage
phase purge --purge gitea-triage
