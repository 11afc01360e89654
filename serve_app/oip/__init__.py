"""The Open Inference Protocol, version 2: the second door to the two models.

`http.py` and `grpc.py` carry requests; `inference.py` is the one place that both call, and it calls
what version 1 calls. Source: github.com/kserve/open-inference-protocol, and for binary data and
`timeout` the extensions of NVIDIA Triton.
"""

SERVICER = "serve_app.oip.wire.inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server"
"""Import path of what tells Ray Serve's gRPC servers the protocol's methods."""
