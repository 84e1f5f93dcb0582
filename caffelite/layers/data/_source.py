"""What layers share that serve the samples of a source, in order and over and over."""

from contextlib import contextmanager

from ...data.source import State
from ...errors import DataError
from ..base import Layer


class SourceLayer(Layer):
    """Serves the samples of a source; `position` counts those delivered.

    A subclass makes its `source`, one of caffelite.data, and reads from it what it serves.
    """

    role = "source"
    bottoms = 0
    source = None

    @property
    def pass_size(self):
        return None if self.source is None else len(self.source)

    @property
    def drawn_for(self):
        return None if self.source is None else self.source.drawn_for()

    @property
    def layout(self):
        return b"" if self.source is None else self.source.layout()

    def uneven_pass(self):
        return None if self.source is None else self.source.uneven_pass()

    def take_place(self):
        """Let the source go on at this layer's position, with its seed and its shard."""
        rank, size, whole_batches = self.shard
        self.source.shard(rank, size, self.options.batch_size if whole_batches else 1)
        self.source.restore(State(self.seed, self.position))

    @property
    def samples_at_once(self):
        """How many samples all processes together take at a time."""
        return self.options.batch_size * self.shard.size

    def idle_source(self):
        """The source, which from now on nobody else reads before the next forward."""
        return self.source

    def sample_name(self, item):
        source = self.idle_source()
        source.seek(self.position - self.samples_at_once)
        return source.name(source.number(item))

    def set_batch_size(self, size):
        """Go on with batches of another size; the net has to reshape."""
        self.options.batch_size = size

    @contextmanager
    def naming(self):
        """Let a DataError of a source say which layer wanted the data."""
        try:
            yield
        except DataError as problem:
            raise self.error(str(problem), DataError) from None

    def close(self):
        if self.source is not None:
            self.source.close()
