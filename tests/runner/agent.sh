#!/bin/sh
# An agent that speaks the Agent Client Protocol and does what its first argument says. The second is a folder outside of
# the workspace, where it leaves signs.
mode=$1
signs=$2
tree=$PWD

# As Node.js ends a program that it cannot load.
if [ "$mode" = old-node ]; then
    printf "file:///main.mjs:20\nSyntaxError: The requested module 'node:zlib' has no such export\n\nNode.js v20.20.2\n" >&2
    exit 1
fi

say() { printf '%s\n' "$1"; }
answer() { say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$1}"; }
refuse() { say "{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":$1,\"message\":\"$2\"}}"; }
update() { say "{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"s1\",\"update\":$1}}"; }
message() { update "{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\",\"text\":\"$1\"}}"; }
done_now() { answer '{"stopReason":"end_turn","usage":{"totalTokens":1234,"inputTokens":1000,"outputTokens":234}}'; }

# Asks the client, and reads its answer. The number is one that the client uses for its own requests, too.
ask() {
    say "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"$1\",\"params\":$2}"
    IFS= read -r reply
}
write() { ask fs/write_text_file "{\"sessionId\":\"s1\",\"path\":\"$1\",\"content\":\"$2\"}"; }
permission() {
    options='[{"optionId":"yes","name":"Yes","kind":"allow_once"},{"optionId":"no","name":"No","kind":"reject_once"}]'
    ask session/request_permission "{\"sessionId\":\"s1\",\"toolCall\":{\"toolCallId\":\"$1\"},\"options\":$options}"
}

turn() {
    case $mode in
    work)
        update '{"sessionUpdate":"tool_call","toolCallId":"c1","title":"Edit src/lib.rs","kind":"edit","status":"pending"}'
        permission c1
        case $reply in *'"optionId":"yes"'*) ;; *) message "not allowed: no" ;; esac
        write "$tree/src/lib.rs" 'pub fn fixed() {}\n'
        update '{"sessionUpdate":"usage_update","used":900,"size":200000,"cost":{"amount":0.25,"currency":"USD"}}'
        message 'I fixed '
        message 'it.'
        done_now
        ;;
    edits)
        # The file that the prompt names.
        file=$(printf '%s\n' "$line" | sed -n 's/.*\(src\/[a-z]*\.txt\).*/\1/p')
        update "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"c1\",\"title\":\"$file\",\"kind\":\"edit\",\"status\":\"pending\"}"
        permission c1
        greeting=hello
        case $line in *'ci/style'*) greeting='hello!' ;; esac
        case $reply in *'"optionId":"yes"'*) write "$tree/$file" "$greeting\\n" ;; esac
        message 'I corrected the greeting.'
        done_now
        ;;
    busy)
        # Long enough to be killed in the middle of it. What it starts knows nothing of its streams, and goes on by itself.
        setsid sleep 86400 >/dev/null 2>&1 </dev/null &
        left=$!
        sleep 86400 >/dev/null 2>&1 </dev/null &
        message 'I am at work.\n'
        sleep 1
        write "$tree/src/lib.rs" 'pub fn fixed() {}\n'
        # It left the group, so that nobody else ends it.
        kill "$left"
        done_now
        ;;
    gate)
        : >"$signs/at-work"
        while [ ! -e "$signs/go" ]; do sleep 0.05; done
        write "$tree/src/lib.rs" 'pub fn fixed() {}\n'
        done_now
        ;;
    grow | resume)
        n=$(ls | wc -l)
        write "$tree/file$((n)).txt" 'more\n'
        done_now
        ;;
    commits)
        printf 'one\n' >one.txt
        git add one.txt
        git -c user.name=agent -c user.email=agent@localhost commit -qm 'Add one'
        printf 'two\n' >two.txt
        done_now
        ;;
    asks)
        write "$tree/notes.txt" 'half of it\n'
        message 'NEEDS A PERSON: '
        message 'which of the two?'
        done_now
        ;;
    nothing-then)
        [ -e made.txt ] && message 'It is as it should be.'
        : >made.txt
        done_now
        ;;
    nothing)
        message 'There is nothing to do.'
        done_now
        ;;
    hang)
        # What it starts has its streams, and goes on by itself.
        sleep 300 &
        printf '%s\n%s\n' "$$" "$!" >"$signs/pids"
        message 'I am at work.\n'
        while :; do sleep 1; done
        ;;
    flood)
        while :; do printf 'endless \033[31moutput\n'; done
        ;;
    die)
        echo 'out of credit' >&2
        exit 3
        ;;
    execute)
        update '{"sessionUpdate":"tool_call","toolCallId":"c2","title":"rm -rf build","kind":"execute","status":"pending"}'
        permission c2
        done_now
        ;;
    outside)
        write "$signs/written" 'x'
        case $reply in *'"error"'*) printf 'refused\n' >>answers.txt ;; esac
        ln -s "$signs" "$tree/link"
        write "$tree/link/written" 'x'
        case $reply in *'"error"'*) printf 'refused\n' >>answers.txt ;; esac
        ask fs/read_text_file "{\"sessionId\":\"s1\",\"path\":\"/etc/passwd\"}"
        case $reply in *'"error"'*) printf 'refused\n' >>answers.txt ;; esac
        rm link
        done_now
        ;;
    hostile)
        git init -q nested
        git -C nested -c user.name=a -c user.email=a@localhost commit -q --allow-empty -m nested
        git add nested 2>/dev/null
        git -c user.name=a -c user.email=a@localhost commit -qm 'Add a repository'
        for hook in pre-commit commit-msg post-commit pre-push reference-transaction post-checkout; do
            mkdir -p .git/hooks
            printf '#!/bin/sh\ntouch %s/hook\n' "$signs" >.git/hooks/$hook
            chmod +x .git/hooks/$hook
        done
        printf '[core]\n\tfsmonitor = touch %s/fsmonitor\n\thooksPath = .git/hooks\n[filter "x"]\n\tclean = touch %s/filter\n\tprocess = touch %s/filter\n[uploadpack]\n\tpackObjectsHook = touch %s/pack\n[include]\n\tpath = ../config\n[remote "origin"]\n\turl = ext::touch %s/remote\n[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = touch %s/gpg\n' \
            "$signs" "$signs" "$signs" "$signs" "$signs" "$signs" >>.git/config
        printf '* filter=x\n' >.gitattributes
        printf 'x\n' >file.txt
        mkdir -p .git/objects/info
        printf '/nonexistent\n' >.git/objects/info/alternates
        printf 'x\n' >nested/file.txt
        printf '[core]\n\tfsmonitor = touch %s/nested\n' "$signs" >>nested/.git/config
        done_now
        ;;
    replaced)
        mv .git "$signs/repository"
        ln -s "$signs/repository" .git
        done_now
        ;;
    secret)
        printf 'token = "ghp_%s"\n' 0123456789abcdefghijABCDEFGHIJ012345 >config.toml
        git add config.toml
        git -c user.name=agent -c user.email=agent@localhost commit -qm 'Add the configuration'
        git rm -q config.toml
        printf 'x\n' >file.txt
        done_now
        ;;
    environment)
        env | sed 's/=.*//' | sort >names.txt
        env >values.txt
        done_now
        ;;
    escape)
        try() { if "$@" >/dev/null 2>&1; then printf 'reached: %s\n' "$*"; fi; }
        {
            try cat "$signs/../token"
            try cat "$signs/../forge-token"
            try touch "$signs/sign"
            try ls "$signs/../work/cache"
            try test -w /usr
            try cat /etc/shadow
            try test "$(ls -d /proc/[0-9]* | wc -l)" -gt 20
            try test "$(grep -c : /proc/net/dev)" -gt 1
            try grep -q CARGO_MANIFEST_DIR "/proc/$PPID/environ"
            try test -n "$(ls -A "$(getent passwd "$(id -u)" | cut -d : -f 6)")"
            echo end
        } >answers.txt
        # Only where it cannot stay behind.
        [ -e "$signs" ] || setsid sleep 98765 >/dev/null 2>&1 </dev/null &
        done_now
        ;;
    bomb)
        # Each makes two, and none listens to a polite end.
        grow() {
            trap '' TERM
            [ "$1" -gt 0 ] || exec sleep 76543
            grow $(($1 - 1)) &
            grow $(($1 - 1)) &
            wait
        }
        grow 7 >/dev/null 2>&1 </dev/null
        done_now
        ;;
    hole)
        truncate -s 10G hole.bin
        done_now
        ;;
    large)
        head -c 67108864 /dev/zero >large.bin
        done_now
        ;;
    crowd)
        seq 3000 | xargs touch
        done_now
        ;;
    begs)
        for kind in read edit delete move search execute think fetch switch_mode other nonsense; do
            update "{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"$kind\",\"title\":\"$kind\",\"kind\":\"$kind\",\"status\":\"pending\"}"
            permission "$kind"
            case $reply in *'"optionId":"yes"'*) verdict=allowed ;; *) verdict=refused ;; esac
            printf '%s %s\n' "$kind" "$verdict" >>answers.txt
        done
        done_now
        ;;
    pulls)
        # The prompt names the forge. Whatever could be a token is tried as one.
        forge=$(printf '%s\n' "$line" | sed -n 's/.*\(http:\/\/127[0-9.:]*\).*/\1/p')
        {
            printf 'url=%s\n\n' "$forge" | GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=true git credential fill 2>/dev/null
            git config --list
            env | sed 's/^[^=]*=//'
            find "$HOME" "$TMPDIR" .git -type f -size -64k -exec cat {} + 2>/dev/null
        } | tr -c 'A-Za-z0-9_.-' '\n' | grep -E '.{16,}' | sort -u >"$TMPDIR/found"
        grep -c . "$TMPDIR/found" >found.txt
        printf 'none\n' >>"$TMPDIR/found"
        for n in 1 2 3 4 5 6 7 8 9 10; do
            while IFS= read -r token; do
                curl -s -o /dev/null -w '%{http_code}\n' -X POST -H "Authorization: token $token" -H 'Content-Type: application/json' \
                    -d "{\"head\":\"triage/$n\",\"base\":\"main\",\"title\":\"$n\"}" "$forge/api/v1/repos/acme/widgets/pulls"
            done <"$TMPDIR/found" >>codes.txt
        done
        sort codes.txt | uniq -c | sed 's/^ *//' >answers.txt
        cp "$TMPDIR/found" candidates.txt
        rm codes.txt
        done_now
        ;;
    big)
        i=0
        while [ $i -lt 400 ]; do : >"f$i"; i=$((i + 1)); done
        while :; do sleep 1; done
        ;;
    esac
}

say 'a line before the first message'
while IFS= read -r line; do
    rest=${line#*\"id\":}
    id=${rest%%[!0-9]*}
    case $line in
    *'"method":"initialize"'*)
        version=1
        [ "$mode" = old ] && version=7
        can=
        [ "$mode" = resume ] && can='"loadSession":true'
        case $mode in account | no-account) can='"_meta":{"authStatus":{}}' ;; esac
        answer "{\"protocolVersion\":$version,\"agentInfo\":{\"name\":\"scripted\",\"version\":\"0.1\"},\"agentCapabilities\":{$can}}"
        ;;
    *'"method":"session/new"'*)
        if [ "$mode" = signed-out ]; then
            refuse -32000 'Authentication required'
        else
            [ "$mode" = no-account ] && status='{"kind":"none","label":"Not logged in"}'
            [ "$mode" = account ] && status='{"kind":"api_key","label":"A key"}'
            answer '{"sessionId":"s1"}'
            [ -n "${status-}" ] && say "{\"jsonrpc\":\"2.0\",\"method\":\"_auth/status_update\",\"params\":{\"authStatus\":$status}}"
        fi
        ;;
    *'"method":"session/load"'*)
        printf '%s' "$line" >"$signs/loaded"
        message 'This was said before.'
        answer null
        ;;
    *'"method":"session/prompt"'*) turn ;;
    *'"method":"session/cancel"'*) [ -n "$signs" ] && : >"$signs/cancelled" ;;
    esac
done
