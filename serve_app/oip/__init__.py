"""The Open Inference Protocol, version 2: the second door to the two models.

`http.py` and `grpc.py` carry requests; `inference.py` is the one place that both call, and it calls
what version 1 calls. Source: github.com/kserve/open-inference-protocol, and for binary data and
`timeout` the extensions of NVIDIA Triton.
"""
