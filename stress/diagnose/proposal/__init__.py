"""Target, scenario and body of a service, written from what it does with one request: `stress-gateway init`."""
