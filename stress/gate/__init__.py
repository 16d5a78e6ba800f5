"""The gate and its proxies: frames are parked here and let through one at a time."""
