"""The same net in PyTorch, translated layer by layer from a NetParameter: what benchmark.py races.

twin = Twin(param)           # filtered to one phase, fed by Input layers
twin.load({name: [values of its learnable blobs]})
twin.loss(twin(data=x, label=y)).backward()
"""

import torch
from torch import nn

from tools.torch_layers import BUILDERS


class Twin(nn.Module):
    """The net of `param`, filtered to its phase.

    A BatchNorm and the Scale after it are one BatchNorm2d. With `in_place` a ReLU overwrites its
    bottom where it does in `param`, as PyTorch's own models do.
    """

    def __init__(self, param, in_place=True):
        super().__init__()
        self.steps, self.owners, self.batch_norms, self.loss_weights = [], {}, {}, {}
        self.in_place = in_place
        with torch.device("meta"):  # shapes only, until all is known
            self._build(param)
        self.to_empty(device="cpu")
        for module in self.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        self._find_last_uses()

    def _build(self, param):
        blobs = {}
        for index, layer in enumerate(param.layer):
            if layer.type == "Input":
                shapes = list(layer.input_param.shape)
                shapes *= len(layer.top) // len(shapes)
                blobs.update(
                    {t: torch.empty(*s.dim) for t, s in zip(layer.top, shapes, strict=True)}
                )
            elif layer.type == "Scale":
                self._check_scale(layer, param.layer[index - 1])
            else:
                self._add(layer, blobs, followed_by_scale(param, index))

    def _add(self, layer, blobs, scale):
        bottoms = [blobs[name] for name in layer.bottom]
        if layer.type not in BUILDERS:
            raise NotImplementedError(f'layer "{layer.name}": {layer.type} has no translation')
        build = BUILDERS[layer.type]
        more = {"affine": bool(scale)} if layer.type == "BatchNorm" else {}
        module = build(layer, [tuple(b.shape) for b in bottoms], **more)
        if layer.type == "ReLU":
            module.inplace = self.in_place and layer.top[0] == layer.bottom[0]
        self.add_module(f"{len(self.steps)}", module)
        self.steps.append((layer.name, module, list(layer.bottom), list(layer.top)))
        module.eval()  # for shapes alone: in training, BatchNorm refuses a single value
        blobs.update(by_top(layer.top, module(*[b.detach() for b in bottoms])))
        module.train()
        if layer.type.endswith("Loss"):
            self.loss_weights[layer.top[0]] = layer.loss_weight[0] if layer.loss_weight else 1.0
        if layer.type == "BatchNorm":
            self.batch_norms[layer.name] = module
        if getattr(module, "weight", None) is not None:
            self.owners[scale or layer.name] = module
            if layer.type != "BatchNorm":  # whose params are of its statistics
                for parameter, spec in zip((module.weight, module.bias), layer.param, strict=False):
                    if parameter is not None:
                        parameter.requires_grad_(spec.lr_mult != 0)

    def _check_scale(self, scale, before):
        if before.type != "BatchNorm" or list(scale.bottom) != list(before.top):
            raise NotImplementedError(f'layer "{scale.name}": a Scale without its BatchNorm')

    def _find_last_uses(self):
        """Which blobs a step may drop, so that memory is what autograd keeps and no more."""
        self.last_uses, seen = [], set()
        for _, _, bottoms, _ in reversed(self.steps):
            self.last_uses.insert(0, [b for b in set(bottoms) if b not in seen])
            seen.update(bottoms)

    @property
    def learnable(self):
        """{layer name: its learnable blobs, in Caffe's order}."""
        pairs = {name: (module.weight, module.bias) for name, module in self.owners.items()}
        return {name: [p for p in pair if p is not None] for name, pair in pairs.items()}

    def forward(self, **blobs):
        """The blobs that no layer reads, by name."""
        for (_, module, bottoms, tops), last in zip(self.steps, self.last_uses, strict=True):
            made = by_top(tops, module(*[blobs[name] for name in bottoms]))
            for name in last:
                del blobs[name]
            blobs.update(made)
        return blobs

    def loss(self, outputs):
        """The weighted sum of all losses."""
        return sum(weight * outputs[top] for top, weight in self.loss_weights.items())

    @torch.no_grad()
    def load(self, values):
        """Copy values, {layer name: [arrays]} as in Caffe's blobs, into the twin."""
        learnable = self.learnable
        for name, arrays in values.items():
            if name in self.batch_norms:
                mean, variance, (factor,) = (torch.as_tensor(a) for a in arrays)
                self.batch_norms[name].running_mean.copy_(mean / (factor or 1))
                self.batch_norms[name].running_var.copy_(variance / (factor or 1))
                continue
            for parameter, array in zip(learnable[name], arrays, strict=True):
                parameter.copy_(torch.as_tensor(array).reshape(parameter.shape))


def by_top(names, made):
    """{top: tensor} of what a module gave."""
    return dict(zip(names, made if isinstance(made, tuple) else (made,), strict=True))


def followed_by_scale(param, index):
    """The name of the Scale after layer `index`, or None."""
    after = param.layer[index + 1] if index + 1 < len(param.layer) else None
    return after.name if after is not None and after.type == "Scale" else None
