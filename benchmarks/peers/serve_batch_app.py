"""This application on `@serve.batch`: its router and decoding, with the other classifier behind."""

from benchmarks.peers.parts import Parts, serve_until_stopped


def parts() -> Parts:
    """The classifier alone is another one."""
    from benchmarks.peers.serve_batch import ServeBatchClassifier
    from serve_app.deployment import IMAGE_CLASSIFIER

    return {IMAGE_CLASSIFIER: ServeBatchClassifier}


if __name__ == "__main__":
    serve_until_stopped(parts)
