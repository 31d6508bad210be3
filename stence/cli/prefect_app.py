"""The server process of ``stence up``: ``python -m stence.cli.prefect_app PARENT HOST PORT NAME…``.

Prefect's own server. It ends by SIGINT or with the process PARENT, and answers only to the host names NAME: a
web page whose domain was pointed at this host (DNS rebinding) is refused before Prefect sees its request.
"""

from __future__ import annotations

import signal
import sys

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from stence import orphans


def main(parent: str, host: str, port: str, *names: str) -> None:
    """Serve until SIGINT, or until ``parent`` is gone.

    SIGTERM is held back: systemd and shutdowns send it to every process at once, and the server must be there
    until ``stence up`` has closed its runs.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    orphans.end_with(int(parent), by=signal.SIGINT)
    from prefect.server.api.server import create_app

    # Around the application and not in it: Prefect's services call it by a host name of their own.
    app = TrustedHostMiddleware(create_app(final=True), allowed_hosts=list(names), www_redirect=False)
    uvicorn.run(app, host=host, port=int(port), log_level="warning", timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main(*sys.argv[1:])
