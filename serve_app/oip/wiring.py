"""Puts the two models behind the protocol."""

from serve_app.access.admission import Admission
from serve_app.faq_gateway import FaqGateway
from serve_app.image_gateway import ImageGateway
from serve_app.oip.faq import FaqScorer
from serve_app.oip.image import ImageScorer
from serve_app.oip.inference import Inference
from serve_app.oip.models import Catalogue
from serve_app.readiness import Readiness
from serve_app.settings import HttpSettings


def inference(
    faq: FaqGateway,
    image: ImageGateway | None,
    readiness: Readiness,
    admission: Admission,
    settings: HttpSettings,
) -> Inference:
    """Inference around the gateways that version 1 uses too; it has no state of its own."""
    scorers = (
        FaqScorer(faq, readiness, settings),
        ImageScorer(image, readiness, admission, settings),
    )
    return Inference(scorers, Catalogue(readiness))
