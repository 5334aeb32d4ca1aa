#!/usr/bin/env python3
"""A stand-in for servers that speak OpenAI's chat completions, on loopback: good ones and bad ones.

    python3 tests/openai_server.py [LOG]        prints its port, serves until its input ends; LISTEN names another address
    python3 tests/openai_server.py --tls FILE   the same by https, with a certificate that nobody signed (FILE is written)

The model that is asked for says how it behaves (MODELS). LOG gets a line per question: model, status.
Answers follow from the question alone.
"""
import collections
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
import time

asked = collections.Counter()
at_once = collections.Counter()
lock = threading.Lock()
tls = sys.argv[2] if sys.argv[1:2] == ["--tls"] else None
log = open(sys.argv[1], "a", buffering=1) if len(sys.argv) == 2 else None


def chat(text, reason="stop"):
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": reason}],
                 "usage": {"completion_tokens": len(text.split())}}


def words(body):
    """A judge's number from 1 to 10, by the number of different words in the user's message."""
    return str(1 + len(set(body["messages"][-1]["content"].split())) % 10)


def moody(body):
    """The same of every other question."""
    return words(body) if int(words(body)) % 2 else "no opinion"


def later(body):
    """The first two times: too many questions."""
    return (429, {"error": {"message": "slow down"}}) if body["n"] <= 2 else chat("at last")


def helper(body):
    """One of a few helpers, by the seed, and a stop text that the server did not cut at."""
    time.sleep(0.02)
    return chat(f"def aux(xs): return xs[{body['seed'] % 4}:] # end", "stop")


def slow(body):
    """Says how many questions it had at once."""
    with lock:
        at_once["now"] += 1
        at_once["most"] = max(at_once["most"], at_once["now"])
    time.sleep(0.3)
    with lock:
        at_once["now"] -= 1
    return chat(str(at_once["most"]))


MODELS = {
    "echo": lambda body: chat(json.dumps(body, sort_keys=True)),
    "words": lambda body: chat("I say: " + words(body)),
    "moody": lambda body: chat(moody(body)),
    "code": lambda body: chat("```python\ndef main(xs):\n    return sum(xs)\n```"),
    "helper": helper,
    "long": lambda body: chat("cut off here", "length"),
    "later": later,
    "broken": lambda body: (503, {"error": {"message": "loading"}}),
    "locked": lambda body: (401, {"error": {"message": "no such key: " + body["key"]}}),
    "picky": lambda body: (400, {"error": {"message": "max_tokens is too large"}}),
    "slow": slow,
    "mute": lambda body: time.sleep(3600),
    "garbage": lambda body: (200, b"<html>busy</html>"),
    "empty": lambda body: (200, {"choices": []}),
    "half": lambda body: None,
    "large": lambda body: (200, b'{"choices": "' + b"x" * (17 << 20)),
    "silent": lambda body: (200, {"choices": [{"message": {"content": "so many"}}]}),
    "zero": lambda body: (200, {"choices": [{"message": {"content": "so many"}}], "usage": {"completion_tokens": 0}}),
    "nul": lambda body: chat("a\0b \0"),
    "shy": lambda body: chat("I would rather not say a number."),
}


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body["key"] = self.headers.get("Authorization", "").removeprefix("Bearer ")
        with lock:
            key = json.dumps(body)
            asked[key] += 1
            body["n"] = asked[key]
        if self.path != "/v1/chat/completions":
            status, answer = 404, {"error": "no such path"}
        else:
            status, answer = MODELS[body["model"]](body) or (200, None)
        if log:
            log.write(f"{body['model']} {status}\n")
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(data) + (1000 if answer is None else 0)))
        self.end_headers()
        self.wfile.write(data)
        if answer is None:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Threads(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, *_):
        """Who gave up is what the tests are about."""


server = Threads((os.environ.get("LISTEN", "127.0.0.1"), 0), Server)
if tls:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tls, "-out", tls + ".crt"],
                   check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls + ".crt", tls)
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
os._exit(0)
