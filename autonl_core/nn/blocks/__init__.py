"""Layers of one block each. They know channels and strides they are given, and nothing of the network around them."""
