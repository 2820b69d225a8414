"""What a finished search hands over: one network in several formats, scored in each by a process without our code.

exporting    the network of files/model.py as torch.export program, ONNX, TorchScript
quantising   ONNX in eight bits, calibrated on training images
onnx_macs    MACs counted on the ONNX graph: the budget certificate
latency      how long one image and a batch take, in each form
scoring      files/verify.py in a clean process, and what is withheld
documents    model card, preprocessing, labels, sums
archive      the zip, the same bytes for the same files
build        all of it, in order
"""
