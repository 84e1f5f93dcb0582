from contextlib import contextmanager

from ...errors import DataError


@contextmanager
def naming(layer):
    """Let a DataError of a source say which layer wanted the data."""
    try:
        yield
    except DataError as problem:
        raise layer.error(str(problem), DataError) from None
