"""The keys that a provider signs with."""

import itertools
import json
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import encode
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

_SERIAL = itertools.count(1)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class SigningKey:
    """A private key, its id and its algorithm (RFC 7518, RFC 8037)."""

    kid: str
    algorithm: str
    private: PrivateKey

    def sign(self, claims: dict[str, Any]) -> str:
        """A JWT in the compact form."""
        return encode(claims, self.private, self.algorithm, headers={"kid": self.kid})

    def public(self) -> dict[str, Any]:
        """The entry of the JWKS document (RFC 7517)."""
        return {**_public(self.private), "kid": self.kid, "use": "sig", "alg": self.algorithm}


def generate(algorithm: str = "RS256") -> SigningKey:
    """A new key: RS*, PS*, ES256 or EdDSA."""
    return SigningKey(f"key-{next(_SERIAL)}", algorithm, _private(algorithm))


def _private(algorithm: str) -> PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public(private: PrivateKey) -> dict[str, Any]:
    if isinstance(private, rsa.RSAPrivateKey):
        text = RSAAlgorithm.to_jwk(private.public_key())
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        text = ECAlgorithm.to_jwk(private.public_key())
    else:
        text = OKPAlgorithm.to_jwk(private.public_key())
    entry: dict[str, Any] = json.loads(text)
    return entry
