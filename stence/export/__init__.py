"""Send flags to other systems: as FHIR R4 to a server or to files in the store, or as CSV files.

Each flag gives one message, and one more whenever it is withdrawn, comes back or goes to another patient. The
table ``flag_exports`` is the ledger: a message is planned there before it is sent, and marked when it was
confirmed. One that was sent and not marked is sent again, and the receiver knows it by its identifier.
"""

from __future__ import annotations

from stence.export.sending import SENDERS, Sent, receiver_of, send_csv, send_fhir

__all__ = ["SENDERS", "Sent", "receiver_of", "send_csv", "send_fhir"]
