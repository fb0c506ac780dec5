"""An origin on Python's own HTTP server: one line of JSON for each request that it took for one, and for each that it could not
read. As handlers mostly do, those for methods that expect no body leave it unread."""

import http.server
import json
import signal
import socket
import sys
import threading

WITHOUT_BODY = {"GET", "HEAD", "DELETE", "OPTIONS"}
lock = threading.Lock()
seen = open(sys.argv[1], "a", encoding="utf-8")


def tell(told):
    with lock:
        seen.write(json.dumps(told) + "\n")
        seen.flush()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            if self.rfile.readline() != b"\r\n":
                raise ValueError("no CRLF behind a chunk")
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        return body

    def answer(self):
        body = b""
        try:
            if self.command in WITHOUT_BODY:
                pass
            elif self.headers.get("Transfer-Encoding"):
                body = self.chunks()
            elif length := int(self.headers.get("Content-Length", 0)):
                body = self.rfile.read(length)
                if len(body) < length:
                    raise ValueError("broken off")
        except ValueError:
            # A request that was broken off is none.
            self.close_connection = True
            return
        case = self.headers.get("X-Case", "")
        tell({"method": self.command, "target": self.path, "case": case, "body": body.decode("latin-1")})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    def send_error(self, code, message=None, explain=None):
        tell({"malformed": f"{code} {message} {self.raw_requestline!r}"})
        self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def handle_error(self, *_):
        pass

    # Closing with unread bytes resets the connection, and then the answer may be lost.
    def shutdown_request(self, request):
        try:
            request.shutdown(socket.SHUT_WR)
            while request.recv(65536):
                pass
        except OSError:
            pass
        self.close_request(request)


server = Server(("127.0.0.1", 0), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"port {server.server_address[1]}", flush=True)
server.serve_forever()
server.server_close()
