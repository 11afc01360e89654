"""An application that answers, as small as can be."""

from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Toy:
    """Answers with a word."""

    async def __call__(self, _request: object) -> str:
        """The word."""
        return "toy"


app = Toy.bind()  # type: ignore[attr-defined]
