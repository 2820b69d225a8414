"""Export formats: each is one file of `autonl_core/export/formats`, and nothing else names it.

format_spec   what a format declares; free of tensor code, since the API and the command line read it
materials     what formats are made from: the graph of the network, calibration images
graph         the network as a traced program, which can be made before the weights are known
tracing       how the traced program is made
formats/      the formats

coreml_package, coreml_reader, executorch_program, litert_file, onnx_apps, onnx_age     what several formats share

To add a format, write `formats/NAME.py` with `MEMBER = NetworkFormatSpec(name="NAME", ...)`. It is then offered by the
API and the command line, made in every bundle that asks for it, scored by the bundle's verify.py and described in the
model card. Import torch, numpy and the like inside functions only: the module is imported by processes without them.
"""
