"""The science of AutoNL: searching, training and exporting lightweight non-local networks.

Two layers. The *spec layer* describes (architectures, search spaces, MACs, configurations, data sets) and never
loads torch; the *torch layer* computes. The core knows no web, no database and no broker: progress leaves it only
through the protocols of `autonl_core.spec.progress`.
"""
