"""The protocol's messages, generated from `inference.proto`."""
