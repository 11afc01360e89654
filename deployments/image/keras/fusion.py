"""Folds batch norm into the convolutions of a keras network: one operation where there were many.

Keras computes batch norm in inference as several passes over the activations, each through memory.
See https://arxiv.org/abs/1712.05877, section 3.2, for the arithmetic of folding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.image.keras.architectures import keras

Arrays = Mapping[str, NDArray[Any]]
"""Values of variables by their path: "conv1_conv/kernel"."""

# A sum over all positions and the last product lose the most by rounding, and cost the least.
_ALWAYS_FLOAT32 = (keras.layers.GlobalAveragePooling2D, keras.layers.Dense)


def fold_batch_norm(network: Any, arrays: Arrays, policy: str) -> tuple[Any, Arrays]:
    """A copy of the network, in keras' dtype policy `policy`, and the weights that belong to it.

    A batch norm is folded where it is all that reads a linear convolution; others stay. The copy's
    variables are zero: `arrays`, not the network, hold the weights.
    """
    folded = dict(_foldable(network))
    gone = {norm.name for norm in folded.values()}

    def copy(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.InputLayer):
            return type(layer).from_config(config)
        config["dtype"] = "float32" if isinstance(layer, _ALWAYS_FLOAT32) else policy
        if layer.name in gone:
            # Passes its input on; a plain Identity does not take the mask that keras hands on.
            return keras.layers.Lambda(lambda x: x, name=layer.name, dtype=config["dtype"])
        if layer.name in folded:
            config["use_bias"] = True
        for key in config:
            if key.endswith("_initializer"):
                config[key] = "zeros"  # random numbers would be made to be overwritten
        return type(layer).from_config(config)

    copied = keras.models.clone_model(network, clone_function=copy)
    return copied, _fold(arrays, network, folded)


def _foldable(network: Any) -> list[tuple[str, Any]]:
    """Names of convolutions, each with the batch norm that follows it."""
    found = []
    for layer in network.layers:
        if type(layer) not in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D):
            continue
        readers = [node.operation for node in layer._outbound_nodes]
        linear = layer.activation is keras.activations.linear
        if linear and len(readers) == 1 and _is_batch_norm(readers[0]):
            found.append((layer.name, readers[0]))
    return found


def _is_batch_norm(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (3, -1)


def _fold(arrays: Arrays, network: Any, folded: Mapping[str, Any]) -> Arrays:
    result = dict(arrays)
    for name, norm in folded.items():
        mean, variance = (result.pop(f"{norm.name}/moving_{part}") for part in ("mean", "variance"))
        factor = 1 / np.sqrt(variance + norm.epsilon)
        if norm.scale:
            factor *= result.pop(f"{norm.name}/gamma")
        shift = result.pop(f"{norm.name}/beta") if norm.center else 0
        bias = result.get(f"{name}/bias", 0)
        result[f"{name}/bias"] = (bias - mean) * factor + shift
        kernel = result[f"{name}/kernel"]
        if isinstance(network.get_layer(name), keras.layers.DepthwiseConv2D):
            # Its last axes are input channel and multiplier; together they count the outputs.
            factor = factor.reshape(kernel.shape[-2:])
        result[f"{name}/kernel"] = kernel * factor
    return result
