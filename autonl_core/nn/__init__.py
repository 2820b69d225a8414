"""Networks as modules: blocks, the network itself, its checkpoint, and what a live network costs."""
