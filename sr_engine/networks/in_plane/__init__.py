"""Networks that make the pixels of one slice finer: in-plane super-resolution, slice by slice."""
