"""Redis and Valkey: framing, accesses, the proxy before a server, and the embedded server."""
