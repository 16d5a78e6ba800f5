"""A small Kubernetes API server in this process: resource versions, watches and answers as the real one has them."""
