#!/usr/bin/env bash
# A real Ray cluster of two nodes on this machine, to try out what a cluster does: scripts/local_cluster.sh up|down
#
#   scripts/local_cluster.sh up            # prints what to export, and how to submit
#   scripts/local_cluster.sh down
#
# Needs the extra `cluster`. Set beforehand, if the defaults do not suit: CLUSTER_DIR (token and process ids, ./.cluster),
# CLUSTER_PORT (6411), CLUSTER_DASHBOARD_PORT (8311), CLUSTER_CPUS (of each node, 2), CLUSTER_WAIT (seconds for a node to
# start, 60).
set -euo pipefail

directory=${CLUSTER_DIR:-$PWD/.cluster}
port=${CLUSTER_PORT:-6411}
dashboard=${CLUSTER_DASHBOARD_PORT:-8311}
cpus=${CLUSTER_CPUS:-2}
wait=${CLUSTER_WAIT:-60}
memory=200000000 # bytes of each node's object store

export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$directory/token RAY_USAGE_STATS_ENABLED=0
export RAY_DASHBOARD_STARTUP_TIMEOUT_S=$wait
# `ray job stop` and a run's last checkpoint, see docs/cluster.md
export RAY_JOB_STOP_WAIT_TIME_S=${RAY_JOB_STOP_WAIT_TIME_S:-60}

fail() {
  echo "local_cluster: error: $1" >&2
  exit "${2:-1}"
}

# start NAME ARGUMENTS...: a node in the background, in a process group of its own, which `down` ends.
start() {
  local name=$1
  shift
  set -m # job control gives a background command its group
  ray start "$@" --num-cpus="$cpus" --object-store-memory="$memory" --block \
    >"$directory/$name.log" 2>&1 </dev/null &
  echo $! >"$directory/$name.pid"
  set +m
}

# wait_for NAME COMMAND...: until the command succeeds, CLUSTER_WAIT seconds at most, and no longer than all nodes live.
wait_for() {
  local name=$1 end=$((SECONDS + wait)) file
  shift
  while ((SECONDS < end)); do
    "$@" >/dev/null 2>&1 && return
    for file in "$directory"/*.pid; do
      kill -0 "$(cat "$file")" 2>/dev/null || { name=$(basename "$file" .pid) && break 2; }
    done
    sleep 0.5
  done
  tail -n 3 "$directory/$name.log" >&2
  down
  fail "the $name did not start; is port $port or $dashboard taken?"
}

two_nodes() {
  local found
  found=$(ray list nodes --address "http://127.0.0.1:$dashboard" --filter state=ALIVE --format json)
  [ "$(grep -o '"node_id"' <<<"$found" | wc -l)" -eq 2 ]
}

up() {
  command -v ray >/dev/null || fail "no command ray; run: pip install -c constraints.txt -e '.[cluster]'"
  python -c 'import aiohttp_cors' 2>/dev/null \
    || fail "Ray's job server is not installed; run: pip install -c constraints.txt -e '.[cluster]'"
  [ ! -e "$directory/head.pid" ] || fail "a cluster of $directory is up; first: scripts/local_cluster.sh down" 2
  mkdir -p "$directory"
  (umask 077 && python -c "import secrets; print(secrets.token_hex(32), end='')" >"$directory/token")
  start head --head --port="$port" --dashboard-port="$dashboard" --include-dashboard=true
  wait_for head ray health-check --address "127.0.0.1:$port"
  # A folder of its own, as on a machine of its own: a node that is done with a job's files removes them. Its path is
  # short, because sockets in it may have about a hundred characters.
  mktemp -d /tmp/ray_worker_XXXXXX >"$directory/worker.tmp"
  start worker --address="127.0.0.1:$port" --temp-dir="$(cat "$directory/worker.tmp")"
  wait_for worker two_nodes
  cat <<END
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH
# two nodes of $cpus CPUs each; for example:
#   rllib train file my.yaml --ray-address 127.0.0.1:$port
#   ray job submit --address http://127.0.0.1:$dashboard --working-dir . -- rllib train file my.yaml
END
}

down() {
  for file in "$directory"/worker.pid "$directory"/head.pid; do
    [ -e "$file" ] || continue
    local pid
    pid=$(cat "$file")
    # The whole group: `ray start --block` and what it has started.
    kill -TERM -- "-$pid" 2>/dev/null || true
    for _ in $(seq 40); do
      kill -0 -- "-$pid" 2>/dev/null || break
      sleep 0.25
    done
    kill -KILL -- "-$pid" 2>/dev/null || true
    rm -f "$file"
  done
  if [ -e "$directory/worker.tmp" ]; then
    rm -rf "$(cat "$directory/worker.tmp")"
  fi
  rm -f "$directory/token" "$directory/worker.tmp"
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) fail "say up or down; what each does stands at the top of $0" 2 ;;
esac
