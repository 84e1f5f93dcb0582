"""Where samples come from, without any layer: sources, decoding, transforms, prefetching."""
