"""TLS with certificates that are never files: a CA of this process for the gate, and keys loaded from memory.

`ssl` loads a certificate chain from a file only, so it is given one that has no name on any disk (memfd_create(2)).
"""

from __future__ import annotations

import os
import ssl
from functools import cache


class Authority:
    """A CA made for this process: Gateways trust it, and the gate shows a certificate of it. Its key is never written.

    Making one takes 6 ms, and the first one 0.1 s more, which is what its library takes to load: see `authority`.
    """

    def __init__(self) -> None:
        """Make a new CA, and one certificate for 127.0.0.1 and localhost."""
        import trustme  # noqa: PLC0415 - it takes long to load, and few targets speak TLS

        made = trustme.CA(organization_name="gateway-stress")
        self.pem: bytes = made.cert_pem.bytes()
        """The CA's certificate: what a client must trust."""
        self._chain: bytes = made.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.bytes()

    def context(self) -> ssl.SSLContext:
        """Give what a proxy listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_chain(context, self._chain)
        return context


@cache
def authority() -> Authority:
    """Give the CA of this process, made when it is first asked for."""
    return Authority()


def load_chain(context: ssl.SSLContext, pem: bytes) -> None:
    """Let a context show a certificate: PEM of its private key, of itself and of those between it and its CA.

    Raises:
        ssl.SSLError: when it is no PEM, the key is encrypted, or belongs to another certificate.

    """
    file = os.memfd_create("certificate")
    try:
        with os.fdopen(os.dup(file), "wb") as writing:
            writing.write(pem)
        # An empty password, or an encrypted key would be asked for at the terminal.
        context.load_cert_chain(f"/proc/self/fd/{file}", password="")
    finally:
        os.close(file)
