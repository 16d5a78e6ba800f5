"""A service that keeps orders in Redis, in a format of its own; `racy` looks before it creates, `claims` does not."""

from __future__ import annotations

import json
import os
import sys
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis import Redis

STORE = Redis.from_url(os.environ["ORDERS_CACHE_URL"], decode_responses=True)
MODE = sys.argv[1]
RAISED = """if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('HINCRBY', KEYS[1], 'times', 1) end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'times', 1) return 1"""


class Handler(BaseHTTPRequestHandler):
    """Takes an order by its reference, whatever it is called."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer 201 to who places the order, 200 to others."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v3/orders" or self.headers["Authorization"] != "Bearer not-4-everyone":
            self._answer(403, {"error": "who are you?"})
            return
        times, number = _placed(f"order:{body['ref']}")
        found = {"seconds": "none", "order": {"number": number, "times": times}}
        self._answer(201 if times == 1 else 200, found)

    def _answer(self, status: int, found: object) -> None:
        text = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _placed(key: str) -> tuple[int, str]:
    """Count one more order under a key; give how many there are, and its number."""
    number = uuid.uuid4().hex
    if MODE == "claims":
        times = int(STORE.eval(RAISED, 1, key, number))
    elif known := STORE.hget(key, "number"):
        return int(STORE.hincrby(key, "times", 1)), known
    else:
        times = 1
        STORE.hset(key, mapping={"number": number, "times": 1})
    if times == 1:
        STORE.rpush("placed", number)
        return 1, number
    return times, STORE.hget(key, "number")


ThreadingHTTPServer(("127.0.0.1", int(os.environ["HTTP_PORT"])), Handler).serve_forever()
