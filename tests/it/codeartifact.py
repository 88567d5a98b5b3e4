# CodeArtifact's two requests, for one repository: no server of it can be run, so this one checks the signatures with the
# AWS SDK's own code, and gives the token and the address that it is told.
import http.server
import json
import os
import sys
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

port, key, secret, address = sys.argv[1:]
# Not as an argument: the test looks for it in those of all processes.
token = os.environ["TOKEN"]


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        sent = self.headers.get("Authorization", "")
        if not self.is_signed(sent):
            return self.send(403, {"message": "The request signature we calculated does not match"})
        if (query.get("domain"), query.get("domain-owner")) != ("my-domain", "123456789012"):
            return self.send(404, {"message": "no such domain"})
        if (self.command, url.path) == ("POST", "/v1/authorization-token"):
            return self.send(200, {"authorizationToken": token, "expiration": 1})
        if (self.command, url.path) == ("GET", "/v1/repository/endpoint"):
            if (query.get("repository"), query.get("format")) == ("my-repo", "pypi"):
                return self.send(200, {"repositoryEndpoint": address})
            return self.send(404, {"message": "Repository not found"})
        self.send(400, {"message": "no such request"})

    do_GET = do_POST = answer

    def is_signed(self, sent):
        if f"Credential={key}/" not in sent or "/eu-west-1/codeartifact/aws4_request" not in sent:
            return False
        names = sent.split("SignedHeaders=")[1].split(",")[0].split(";")
        url = f"http://{self.headers['Host']}{self.path}"
        request = AWSRequest(self.command, url, {name: self.headers[name] for name in names})
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(key, secret), "codeartifact", "eu-west-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return sent.endswith("Signature=" + signer.signature(text, request))

    def send(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
