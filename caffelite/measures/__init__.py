"""How well a net does: what is counted and averaged over the batches of a data set."""
