"""Amazon ECR, as one host of the lab sees it.

Port 443 of 127.0.0.1 is ECR's API, of which GetAuthorizationToken, and TLS in front of the lab's private registry. The first
argument is a JSON file, read at every request: {"allowed": whether the host's role may get a token, "login":
"user:password" of the registry, "registry": its "host:port"}. The second one has certificate and key.
"""
import base64
import http.client
import http.server
import json
import ssl
import sys
import time

sys.path.insert(0, '/usr/local/lib/lab')

import credentials

STATE, PEM = sys.argv[1:]
TARGET = 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken'
ENDPOINT = 'https://123456789012.dkr.ecr.us-east-1.amazonaws.com'
RELAYED = ('Content-Type', 'Content-Length', 'Docker-Content-Digest', 'Docker-Distribution-Api-Version', 'WWW-Authenticate')


def read_state():
    with open(STATE) as file:
        return json.load(file)


def read_session(token):
    """Returns the session of a token that the host's metadata service has made and that has not expired, else None."""
    with open('/etc/lab/metadata.json') as file:
        key = json.load(file)['key']
    try:
        session, _, _ = credentials.verify(token, lambda instance: key)
    except ValueError:
        return None
    return session if session['ends'] > time.time() else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *arguments):
        pass

    def answer(self, status, text='', headers=()):
        body = text.encode()
        self.send_response(status)
        for name, value in (*headers, ('Content-Length', len(body))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Registry(Handler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        state = read_state()
        signed = '/us-east-1/ecr/aws4_request' in self.headers.get('Authorization', '')
        session = read_session(self.headers.get('X-Amz-Security-Token', ''))
        if self.headers.get('X-Amz-Target') != TARGET:
            self.refuse('UnknownOperationException', '')
        elif not signed or session is None:
            self.refuse('UnrecognizedClientException', 'The security token included in the request is invalid.')
        elif not state['allowed']:
            action = 'ecr:GetAuthorizationToken'
            self.refuse(
                'AccessDeniedException',
                f'User: arn:aws:sts::123456789012:assumed-role/{session["role"]}/{session["instance"]} is not authorized to perform: {action} '
                f'on resource: * because no identity-based policy allows the {action} action',
            )
        else:
            token = base64.b64encode(state['login'].encode()).decode()
            data = {'authorizationToken': token, 'expiresAt': 4102444800, 'proxyEndpoint': ENDPOINT}
            self.answer(200, json.dumps({'authorizationData': [data]}), [('Content-Type', 'application/x-amz-json-1.1')])

    def refuse(self, code, message):
        self.answer(400, json.dumps({'__type': code, 'message': message}), [('Content-Type', 'application/x-amz-json-1.1')])

    def do_GET(self):
        names = ('Accept', 'Authorization', 'Range')
        headers = {name: ', '.join(self.headers.get_all(name)) for name in names if name in self.headers}
        connection = http.client.HTTPConnection(read_state()['registry'], timeout=60)
        connection.request(self.command, self.path, headers=headers)
        answer = connection.getresponse()
        self.send_response(answer.status)
        for name in RELAYED:
            if answer.getheader(name) is not None:
                self.send_header(name, answer.getheader(name))
        self.end_headers()
        while True:
            block = answer.read(1 << 20)
            if not block:
                break
            self.wfile.write(block)
        connection.close()

    do_HEAD = do_GET


registry = http.server.ThreadingHTTPServer(('127.0.0.1', 443), Registry)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(PEM)
registry.socket = context.wrap_socket(registry.socket, server_side=True)
registry.serve_forever()
