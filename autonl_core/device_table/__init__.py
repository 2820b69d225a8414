"""Measuring a device table: parts of networks as ONNX models, their times, and how these add up to whole networks.

parts           stem, blocks, ends and networks as ONNX models with random weights
timer           how long ONNX models take, on whatever machine it runs on
timing          the same on this machine, beside the reference of all tables
over_ssh        the same on another machine
calibration     from the sum over the parts to the time of a network
measuring       all of it: from a search space to a `spec.device_table.DeviceTable`
of_local_search the table that a search without a service goes by, measured if there is none
"""

ROUNDS = 40  # in which everything is timed, unless another number is asked for; here, where nothing else is loaded
