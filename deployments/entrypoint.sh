#!/bin/sh
# Prefect reads no secret from a file: give it PREFECT_X from the file that PREFECT_X_FILE names. stence reads its own.
# Other settings of Prefect whose names end in _FILE hold a path, as PREFECT_API_SSL_CERT_FILE.
set -eu
for name in $(env | sed -n 's/^\(PREFECT_[A-Z_]*\(AUTH_STRING\|PASSWORD\|API_KEY\|CONNECTION_URL\)\)_FILE=.*/\1/p'); do
  eval "file=\$${name}_FILE"
  value=$(cat "$file")
  export "$name=$value"
  unset "${name}_FILE"
done
exec "$@"
