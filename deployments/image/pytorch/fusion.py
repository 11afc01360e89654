"""Rewrites a network for inference: fewer passes over memory, the same answers.

Batch norm goes into the convolution before it. On a CPU, oneDNN then runs a convolution, the
addition of the residual and the activation as one operation, on weights that are laid out for it
once instead of at every call. `torch.compile` with freezing does both too, but compiles at every
start. Networks that `torch.fx` cannot trace, and operations outside these patterns, stay as they
are. The operations of oneDNN are those that torch's compiler emits; they are not public API.
"""

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse

_Activation = tuple[str | None, list[float]]
"""oneDNN's name of an activation and its arguments."""

_NO_ACTIVATION: _Activation = (None, [])
_RELU: _Activation = ("relu", [])
_ACTIVATIONS: dict[Any, _Activation] = {
    nn.ReLU: _RELU,
    nn.functional.relu: _RELU,
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}
_ADDITIONS = (operator.add, operator.iadd)


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """Folds every batch norm that follows a convolution into it, in place.

    Call it in float32: the products are rounded to the weights' precision. Returns the network
    itself, without any change, if it cannot be traced.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    try:
        traced = fx.symbolic_trace(network)
    except (fx.proxy.TraceError, TypeError):  # control flow that depends on the data
        return network
    return fuse(traced, inplace=True, no_trace=True)


def fuse_convolutions(network: nn.Module, example: Tensor) -> nn.Module:
    """Replaces the convolutions of a traced network on a CPU, and what follows them, by oneDNN's.

    `example` is one input of the shape and type to come; only its number of pictures may change.
    """
    onednn = torch.backends.mkldnn.is_available()
    if not onednn or not isinstance(network, fx.GraphModule):
        return network
    _ShapeRecorder(network).run(example)
    for node in list(network.graph.nodes):
        if _is_plain_convolution(node, network):
            _fuse(node, network)
    network.graph.eliminate_dead_code()
    network.delete_all_unused_submodules()
    network.recompile()
    return network


class _ShapeRecorder(fx.Interpreter):
    """Notes the shape of each result. torch's own `ShapeProp` imports sympy, for 1.7 s."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            n.meta["shape"] = list(result.shape)
        return result


class _Convolution(nn.Module):
    """Convolution and activation in one operation, channels last."""

    def __init__(self, source: nn.Conv2d, shape: list[int], activation: _Activation) -> None:
        super().__init__()
        padding, stride, dilation = map(list, (source.padding, source.stride, source.dilation))
        self.shape = (padding, stride, dilation, source.groups)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            source.weight.detach().contiguous(memory_format=torch.channels_last),
            *self.shape,
            shape,
        )
        self.bias = None if source.bias is None else source.bias.detach()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        name, arguments = self.activation
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self.weight, self.bias, *self.shape, name or "none", arguments, ""
        )
        return result


class _ResidualConvolution(_Convolution):
    """Adds its result to `residual`, in place, before the activation."""

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:  # type: ignore[override]
        name, arguments = self.activation
        result: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            residual, x, self.weight, self.bias, *self.shape, "add", 1.0, name, arguments, ""
        )
        return result


def _fuse(node: fx.Node, network: fx.GraphModule) -> None:
    chain, inputs, kind = [node], [node.args[0]], _Convolution
    addition = _only_user(node)
    if addition is not None and (residual := _residual(node, addition, network)):
        chain.append(addition)
        inputs.append(residual)
        kind = _ResidualConvolution
    activation = _NO_ACTIVATION
    follower = _only_user(chain[-1])
    # oneDNN knows no other activation than ReLU after an addition.
    if follower and (addition not in chain or _activation(follower, network) == _RELU):
        activation = _activation(follower, network)
        chain += [follower] if activation != _NO_ACTIVATION else []
    name = f"fused_{node.name}"
    source: Any = network.get_submodule(str(node.target))
    network.add_submodule(name, kind(source, _shape(node.args[0]), activation))
    with network.graph.inserting_before(chain[-1]):
        fused = network.graph.call_module(name, tuple(inputs))
    fused.meta = chain[-1].meta
    chain[-1].replace_all_uses_with(fused)
    for replaced in reversed(chain):
        network.graph.erase_node(replaced)


def _residual(node: fx.Node, addition: fx.Node, network: fx.GraphModule) -> fx.Node | None:
    """The other term, where the result is only added to a tensor that may be overwritten.

    That is one which a fused convolution has just allocated, of the same shape, and which nobody
    reads after the addition nor could have kept a view of.
    """
    if addition.target not in _ADDITIONS:
        return None
    others = [term for term in addition.args if term is not node]
    if len(others) != 1 or not isinstance(other := others[0], fx.Node):
        return None
    readers = [user for user in other.users if user is not addition]
    overwritable = (
        _is_module(other, network, _Convolution)
        and _shape(other) == _shape(node)
        and all(_is_module(user, network, (nn.Conv2d, _Convolution)) for user in readers)
        and all(user < addition for user in readers)
    )
    return other if overwritable else None


def _activation(node: fx.Node, network: fx.GraphModule) -> _Activation:
    target: Any = node.target
    if node.op == "call_module":
        target = type(network.get_submodule(target))
    return _ACTIVATIONS.get(target, _NO_ACTIVATION)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_module(node: fx.Node, network: fx.GraphModule, kind: Any) -> bool:
    return node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), kind)


def _is_plain_convolution(node: fx.Node, network: fx.GraphModule) -> bool:
    if not _is_module(node, network, nn.Conv2d):
        return False
    module = network.get_submodule(str(node.target))
    return module.padding_mode == "zeros" and not isinstance(module.padding, str)


def _shape(node: Any) -> list[int]:
    shape: list[int] = node.meta["shape"]
    return shape
