# Shell functions for the transcripts beside this file.

# Throw-away secrets: the publicly known interop keys of the consensus specifications.
secret() { sed -n "$(($1 + 2))p" "$REPOSITORY/scripts/development-keys.txt"; }
key0=0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c
key1=0xb89bebc699769726a318c8e9971bd3171297c61aea4a6578a7a4f94b547dcba5bac16a89108b6b6a1fe3695d1a874a0b
stranger=0x$(printf 'a%.0s' $(seq 96))

# start_guard HOME: in the background, on ports that the system chooses; returns when it is ready.
start_guard() {
    : >"$1.log"
    palisade --home "$1" run --listen 127.0.0.1:0 --metrics 127.0.0.1:0 >"$1.log" 2>"$1.err" &
    echo $! >"$1.guard"
    until grep -q 'is ready' "$1.log"; do
        kill -0 "$(cat "$1.guard")" || { cat "$1.err" >&2; return 3; }
        sleep 0.05
    done
}

# stop_guard HOME: SIGTERM, and waits.
stop_guard() {
    kill -TERM "$(cat "$1.guard")"
    while kill -0 "$(cat "$1.guard")" 2>/dev/null; do sleep 0.05; done
    rm "$1.guard"
}

# signing HOME, metrics HOME: the addresses of a running guard.
signing() { sed -n 's/.*signing on \([^,]*\),.*/\1/p' "$1.log"; }
metrics() { sed -n 's/.*console on http:\/\/\(.*\)/\1/p' "$1.log"; }

# block SLOT STATE: a request to sign a block of the minimal network; STATE is one hex digit.
block() {
    zeros=0x$(printf '0%.0s' $(seq 64))
    state=0x$(printf "$2%.0s" $(seq 64))
    printf '{"type":"BLOCK_V2","fork_info":{"fork":{"previous_version":"0x04000001","current_version":"0x05000001","epoch":"0"},"genesis_validators_root":"0x%s"},"beacon_block":{"version":"ELECTRA","block_header":{"slot":"%s","proposer_index":"0","parent_root":"%s","state_root":"%s","body_root":"%s"}}}' \
        "$(printf '1%.0s' $(seq 64))" "$1" "$zeros" "$state" "$zeros"
}

# ask_for_block HOME KEY SLOT STATE: the answer without its message, which programs do not read,
# and the status code.
ask_for_block() {
    block "$3" "$4" | curl --silent --max-time 20 --write-out '\n%{http_code}\n' \
        --header 'content-type: application/json' --data-binary @- \
        "${SCHEME:-http}://$(signing "$1")/api/v1/eth2/sign/$2" | sed 's/"message":"[^"]*",//'
}
