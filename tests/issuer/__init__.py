"""A real OpenID Connect provider for tests, as a process on loopback.

Authorization code flow with PKCE (S256) for public clients, access tokens as JWTs with the claims
`roles` and `scp` as Microsoft Entra ID writes them, key rotation and outages on demand.
`python -m tests.issuer --port N` prints a line when it is ready.

It keeps no passwords: whoever opens the login page may be anybody.
"""
