#!/bin/sh
# Replaces the gateways behind HAProxy, one after the other, by new ones with the image and the settings of now.
#
# Run it in the folder of docker-compose.yml, with the environment of `docker compose up`. Clients that return go on at
# another gateway; the others have TURNGATE_DRAIN_MS to end. COMPOSE is the command, if it is not `docker compose`.
set -eu

compose() {
  # shellcheck disable=SC2086 # It may be several words.
  ${COMPOSE:-docker compose} --profile edge "$@"
}

healthy() {
  [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]
}

old=$(compose ps -q gateway)
count=$(echo "$old" | wc -w)
for gateway in $old; do
  echo "replacing $gateway"
  docker stop "$gateway" >/dev/null
  docker rm "$gateway" >/dev/null
  compose up -d --no-deps --no-recreate --scale "gateway=$count" gateway
  for running in $(compose ps -q gateway); do
    tries=0
    until healthy "$running"; do
      tries=$((tries + 1))
      if [ "$tries" -gt 120 ]; then
        echo "$running does not become healthy; the gateways that are left have not been touched" >&2
        exit 1
      fi
      sleep 1
    done
  done
done
