"""The net that learns "a or b, but not both", which a perceptron cannot.  Rumelhart et al. 1986."""

from caffelite.models.blocks import dense, uniform
from caffelite.models.program import Program
from caffelite.net_spec import NetSpec
from caffelite.net_spec import layers as L
from caffelite.net_spec import params as P
from caffelite.proto.caffe_pb2 import TEST, NetParameter

RATES = [{"lr_mult": 1}, {"lr_mult": 1}]


def net(n):
    n.hidden = dense(n.data, 2, uniform(1), param=RATES)
    n.hidden_sigmoid = L.Sigmoid(n.hidden, in_place=True)
    n.sum = dense(n.hidden_sigmoid, 1, uniform(1), param=RATES)
    n.output = L.Sigmoid(n.sum)


class Xor(Program):
    """Trained with bits tossed anew for each batch: no data are needed."""

    def train_val(self):
        n = NetSpec()
        n.noise = L.DummyData(shape={"dim": [16, 2]}, data_filler=uniform(1))
        n.data = L.Threshold(n.noise)
        n.a, n.b = L.Slice(n.data, axis=1, ntop=2, name="bits")
        n.difference = L.Eltwise(n.a, n.b, coeff=[1, -1])
        n.label = L.AbsVal(n.difference)
        self.net(n)
        n.loss = L.EuclideanLoss(n.output, n.label)
        in_tests = {"include": {"phase": TEST}}
        n.answer = L.Threshold(n.output, threshold=0.5, **in_tests)
        n.miss = L.Eltwise(n.answer, n.label, coeff=[1, -1], **in_tests)
        n.wrong = L.AbsVal(n.miss, **in_tests)
        n.error = L.Reduction(n.wrong, operation=P.Reduction.MEAN, **in_tests)
        return NetParameter(name=self.name, layer=n.to_proto().layer)


program = Xor("XOR", net, None, (1, 2))
