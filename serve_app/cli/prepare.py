"""Makes models and registers them: trains the FAQ ranker, fetches and checks image weights."""

from deployments.image.config import WeightsError
from deployments.image.pytorch.download import WeightsUnavailable
from deployments.registry import Registry, RegistryError
from serve_app.cli.faq_train import train_faq
from serve_app.cli.image_register import register_image
from serve_app.cli.messages import fail, say
from serve_app.models import Missing, find_faq, find_image, registry_of
from serve_app.settings import Settings


def prepare(settings: Settings) -> int:
    """Makes what is missing; without weights and without a network the image model stays so."""
    registry = registry_of(settings)
    status = 0
    if isinstance(find_faq(settings, registry), Missing):
        status = train_faq(settings)
    if status == 0 and isinstance(find_image(settings, registry), Missing):
        status = _register_if_available(settings, registry)
    return status


def _register_if_available(settings: Settings, registry: Registry) -> int:
    try:
        register_image(settings, registry)
    except WeightsUnavailable as error:
        say(f"no image model: {error}")
    except (RegistryError, WeightsError) as error:
        return fail(error)
    return 0
