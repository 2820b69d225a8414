"""The science of AutoNL: searching, training and exporting lightweight non-local networks.

`spec` and `datasets` describe and never load tensor code; everything above them computes. The core knows no web
framework, database or broker: progress leaves it only through the protocols of `autonl_core.spec.progress`.
"""
