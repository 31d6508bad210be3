#!/bin/sh
# Draw the passwords of compose.yaml, as files that it mounts. Nothing is overwritten.
# Containers read the files as other accounts: the files are open, and the folder is closed.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 700 secrets
cd secrets
set -C
draw() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
draw > postgres_password
printf 'postgresql://stence:%s@postgres/stence' "$(cat postgres_password)" > database_url
printf 'stence:%s' "$(draw)" > prefect_auth
draw > pseudonym_key
chmod 444 postgres_password database_url prefect_auth pseudonym_key
