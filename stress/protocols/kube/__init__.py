"""The Kubernetes API: framing, accesses, watches, the proxy before a server, and servers to start."""
