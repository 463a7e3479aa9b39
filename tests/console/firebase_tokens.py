"""Firebase ID tokens, signed as Google does it, and the certificates to check them."""

import datetime
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.crypt import RSASigner

KEY: Final = "key-1"


class Signer:
    """A key pair; Google's, or that of somebody else."""

    def __init__(self, key_id: str = KEY) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        self._signer = RSASigner.from_string(pem, key_id)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .sign(key, hashes.SHA256())
        )
        encoded = certificate.public_bytes(serialization.Encoding.PEM)
        self.certificates = {key_id: encoded.decode()}

    def token(self, project: str, uid: str = "ada", **claims: Any) -> str:
        """An ID token of a user who signed in to a project a minute ago."""
        now = int(time.time())
        payload = {
            "iss": f"https://securetoken.google.com/{project}",
            "aud": project,
            "auth_time": now - 60,
            "user_id": uid,
            "sub": uid,
            "iat": now - 60,
            "exp": now + 3600,
        }
        return jwt.encode(self._signer, payload | claims).decode()


@contextmanager
def certificates_of(signer: Signer) -> Iterator[None]:
    """Have the library fetch certificates from here, not from Google."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(signer.certificates).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        address = f"http://127.0.0.1:{server.server_port}/"
        patch.setattr("firebase_admin._token_gen.ID_TOKEN_CERT_URI", address)
        yield
    server.shutdown()
    server.server_close()
    thread.join()
