"""S3 as the hosts of a world see it: TLS, signatures, policies and faults in front of moto, which stores the objects.

Arguments: the world's name, its region, a folder for the certificate, the DNS name, the ports of S3 and of its control, and
moto's `host:port`. The control, plain HTTP for the lab only:
  GET  /certificate       what clients have to trust (PEM)
  PUT  /account           the account's roles: see policy.read_account
  PUT  /faults            see faults.py
  GET  /requests          {action: {status: count}} so far, e.g. {"s3:PutObject": {"200": 3}}
  *    /s3/<bucket>/…     moto itself, without a signature
"""
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from xml.sax.saxutils import escape

import credentials
from faults import Faults
from policy import explain_refusal, read_account
from request import ACCOUNT, KMS_KEY, NAMESPACE, Request, split_deletion
from signature import Refusal, verify

MAX_BODY = 64 * 1024**2
BLOCK = 16 * 1024
IDLE_SECONDS = 120
# moto answers requests without a signature like S3 does: it takes this one for the account's owner.
OWNER = 'AWS4-HMAC-SHA256 Credential=lab/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0'
HOP = {'connection', 'transfer-encoding', 'date', 'server', 'keep-alive'}
NOT_FORWARDED = {'host', 'authorization', 'x-amz-security-token', 'x-amz-content-sha256', 'expect', 'connection', 'content-length'}


class State:
    """What the handlers share."""

    def __init__(self, world, region, upstream):
        self.world, self.region, self.upstream = world, region, upstream
        self.roles = {}
        self.faults = Faults()
        self.counts = {}
        self.lock = threading.Lock()

    def count(self, action, status):
        with self.lock:
            found = self.counts.setdefault(action, {})
            found[str(status)] = found.get(str(status), 0) + 1


def make_certificate(folder, name):
    """Makes a certificate that vouches for itself, once; returns the files of key and certificate."""
    key, certificate = os.path.join(folder, 'key.pem'), os.path.join(folder, 'certificate.pem')
    if not os.path.exists(certificate):
        os.makedirs(folder, exist_ok=True)
        options = '-x509 -nodes -days 30 -subj /CN=lab -newkey ec -pkeyopt ec_paramgen_curve:prime256v1'.split()
        names = ['-addext', f'subjectAltName=DNS:{name}', '-keyout', key, '-out', certificate]
        subprocess.run(['openssl', 'req', *options, *names], check=True, stderr=subprocess.DEVNULL)
    return key, certificate


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def log_message(self, *arguments):
        pass

    @property
    def state(self):
        return self.server.state

    def read_body(self):
        length = int(self.headers.get('Content-Length') or 0)
        if length > MAX_BODY:
            self.close_connection = True
            raise Refusal(400, 'EntityTooLarge', 'The lab takes at most 64 MiB in a request')
        return self.rfile.read(length)

    def answer(self, status, body=b'', headers=()):
        self.send_response(status)
        for name, value in (*headers, ('Content-Length', len(body))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def ask_moto(self, target, body):
        """Returns moto's connection and its answer, which is to be read."""
        connection = http.client.HTTPConnection(self.state.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in NOT_FORWARDED}
        connection.request(self.command, target, body or None, {**headers, 'Authorization': OWNER})
        return connection, connection.getresponse()


class Control(Handler):
    def serve(self):
        body = self.read_body()
        try:
            if self.path.startswith('/s3/'):
                connection, answer = self.ask_moto(self.path[3:], body)
                text = answer.read()
                connection.close()
                return self.answer(answer.status, text)
            if (self.command, self.path) == ('GET', '/certificate'):
                with open(self.server.certificate, 'rb') as file:
                    return self.answer(200, file.read())
            if (self.command, self.path) == ('GET', '/requests'):
                with self.state.lock:
                    return self.answer(200, json.dumps(self.state.counts).encode())
            if (self.command, self.path) == ('PUT', '/account'):
                self.state.roles = read_account(body)
                return self.answer(200)
            if (self.command, self.path) == ('PUT', '/faults'):
                self.state.faults.set(json.loads(body))
                self.server.door.follow()
                return self.answer(200)
        except (ValueError, KeyError) as error:
            return self.answer(400, str(error).encode())
        except OSError as error:
            return self.answer(503, str(error).encode())
        return self.answer(404)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve


class S3(Handler):
    def setup(self):
        """The handshake belongs to the connection's thread: a silent client must not stop the others."""
        self.request.settimeout(IDLE_SECONDS)
        self.request.do_handshake()
        super().setup()

    def serve(self):
        action = 'none'
        try:
            faults = self.state.faults
            fault = faults.choose(self.command, self.path)
            time.sleep(fault.latency)
            body = self.read_body()
            fault.slow_down(len(body))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, headers, self.state.region)
            session = verify(
                self.command, self.path, headers, body,
                region=self.state.region, now=time.time(),
                find_session=lambda token: credentials.verify(token, lambda one: credentials.derive_key(self.state.world, one)),
            )
            needs = request.list_needs()
            action = needs[0].action if needs else 's3:DeleteObject'
            if fault.status is not None:
                code = 'SlowDown' if fault.status == 503 else 'InternalError'
                raise Refusal(fault.status, code, 'Please reduce your request rate.' if code == 'SlowDown' else 'We encountered an internal error. Please try again.')
            for need in needs:
                self.require(session, need)
            if needs:
                status = self.forward(request, session, body, fault)
            else:
                status = self.delete(request, session, body)
            self.state.count(action, status)
        except Refusal as refusal:
            self.state.count(action, refusal.status)
            self.refuse(refusal)
        except (OSError, ssl.SSLError, http.client.HTTPException):
            # The client is gone, S3 is down meanwhile, or moto is not up yet.
            self.state.count(action, 'broken')
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = serve

    def explain(self, session, need):
        role = self.state.roles.get(session['role'], {'policies': [], 'boundary': None})
        return explain_refusal(role, need.action, need.resource, need.context)

    def require(self, session, need):
        why = self.explain(session, need)
        if why is not None:
            user = f'arn:aws:sts::{ACCOUNT}:assumed-role/{session["role"]}/{session["instance"]}'
            raise Refusal(403, 'AccessDenied', f'User: {user} is not authorized to perform: {need.action} on resource: "{need.resource}" {why}')

    def refuse(self, refusal):
        text = f'<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message><RequestId>LAB</RequestId></Error>'
        self.answer(refusal.status, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode(), [('Content-Type', 'application/xml')])

    def forward(self, request, session, body, fault):
        connection, answer = self.ask_moto(self.path, body)
        try:
            headers = {name.lower(): value for name, value in answer.getheaders() if name.lower() not in HOP}
            if request.key and self.command in ('GET', 'HEAD'):
                if answer.status == 404 and self.explain(session, request.need_list(request.key)) is not None:
                    # "If you don't have the s3:ListBucket permission, Amazon S3 returns 403" (GetObject); seen to ask with
                    # the key as the prefix.
                    raise Refusal(403, 'AccessDenied', 'Access Denied')
                if answer.status < 300 and KMS_KEY in headers:
                    self.require(session, request.need_kms('Decrypt', headers[KMS_KEY]))
            if 'content-length' not in headers:
                self.answer(answer.status, answer.read(), headers.items())
                return answer.status
            self.send_response(answer.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            while block := answer.read(BLOCK):
                fault.slow_down(len(block))
                self.wfile.write(block)
            return answer.status
        finally:
            connection.close()

    def delete(self, request, session, body):
        allowed, errors = split_deletion(request, body, lambda need: self.explain(session, need) is None)
        status, text = 200, f'<DeleteResult xmlns="{NAMESPACE}"></DeleteResult>'
        if allowed is not None:
            # Content-MD5 is that of the whole body.
            del self.headers['Content-MD5']
            connection, answer = self.ask_moto(self.path, allowed)
            status, text = answer.status, answer.read().decode()
            connection.close()
        end = text.rindex('</DeleteResult>') if '</DeleteResult>' in text else len(text)
        self.answer(status, f'{text[:end]}{errors}{text[end:]}'.encode(), [('Content-Type', 'application/xml')])
        return status


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, handler, state):
        self.state = state
        self.open = set()
        super().__init__(address, handler)

    def handle_error(self, request, client_address):
        """A client that hangs up is no error of the server's."""

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        try:
            # Without this message OpenSSL 3 reports an unexpected end.
            request.settimeout(1)
            request.unwrap()
        except (AttributeError, OSError, ValueError):
            pass
        self.close_request(request)


class Door:
    """S3's port: open, or closed while it is down."""

    def __init__(self, state, address, pem):
        self.state, self.address = state, address
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pem[1], pem[0])
        self.server = None
        self.lock = threading.Lock()

    def follow(self):
        with self.lock:
            if self.state.faults.down:
                self._close()
            elif self.server is None:
                self._open()

    def _open(self):
        self.server = Server(self.address, S3, self.state)
        self.server.socket = self.context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def _close(self):
        if self.server is None:
            return
        server, self.server = self.server, None
        server.shutdown()
        server.server_close()
        for request in list(server.open):
            try:
                request.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def main():
    world, region, folder, name, port, control_port, upstream = sys.argv[1:]
    state = State(world, region, upstream)
    pem = make_certificate(folder, name)
    door = Door(state, ('', int(port)), pem)
    door.follow()
    control = Server(('', int(control_port)), Control, state)
    control.door, control.certificate = door, pem[1]
    control.serve_forever()


if __name__ == '__main__':
    main()
