"""The bundle of a finished search: one network in several formats, each scored in a process without this package.

build             everything below, in order
bundle            what was made and measured
contents          arch.json, labels, test images, checksums
preprocessing     preprocess.json: every step in words and values
one_module        code of this package as one file that imports nothing of it
exporting         the network in every format; the formats themselves are in autonl_core/export
checkpoint_check  weights, MACs and parameters of the checkpoint, read back from disk
certificate       the budget certificate; its MACs are counted by onnx_macs
latency           how long one image and a batch take in each form
scoring           files/verify.py in a clean process, and which formats are withheld
parity            parity.json: what verify.py opens, and what it compares with
card              the model card
archive           the zip, the same bytes for the same files
files/            shipped: model.py, predict.py, verify.py, and pixels.py with what it uses
"""
