"""Who may come in: API keys, user tokens, scopes and quotas.

The check sits in the application, since replicas listen on ports of their own that bypass the
proxy. `admission.py` is what both doors (HTTP and gRPC) call.
"""
