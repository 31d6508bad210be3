"""A server process: ``python -m stence.cli.prefect_app PARENT KIND HOST PORT NAME…``.

The process runs Prefect's own server. It ends on SIGINT, or together with the process PARENT. It answers only
requests to the host names NAME. This refuses a web page whose domain points at this host (DNS rebinding),
before Prefect sees its request.
"""

from __future__ import annotations

import signal
import sys

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from stence import discretion, orphans
from stence.cli.prefect_server import FOR_ONE


def main(parent: str, kind: str, host: str, port: str, *names: str) -> None:
    """Serve until SIGINT, or until the process ``parent`` ends.

    SIGTERM is blocked. systemd and shutdowns send SIGTERM to every process at once, but ``stence up`` still
    needs the server to close its runs.
    """
    discretion.install()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    orphans.end_with(int(parent), by=signal.SIGINT)
    from prefect.server.api.server import create_app

    # The middleware wraps the application: inside, it would refuse Prefect's services (other host name).
    serving = create_app(ephemeral=kind == FOR_ONE, final=True)
    app = TrustedHostMiddleware(serving, allowed_hosts=list(names), www_redirect=False)
    uvicorn.run(app, host=host, port=int(port), log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main(*sys.argv[1:])
