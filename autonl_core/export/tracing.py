"""A network as a traced program, from which the formats of other runtimes are made."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import torch
from torch import nn
from torch.export import ExportedProgram

BATCH = "batch"  # the name of the free dimension


def trace(network: nn.Module, resolution: int) -> ExportedProgram:
    """The program of `network` for any batch size, (B, 3, R, R) -> (B, classes), without paths of this machine."""
    example = torch.zeros(2, 3, resolution, resolution)  # two: a size of one would be taken for a constant
    with quiet(), torch.no_grad():
        program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim(BATCH)},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains paths of this machine
    return program


def trace_one(network: nn.Module, resolution: int) -> ExportedProgram:
    """The program of `network`, (1, 3, R, R) -> (1, classes): for one image, as phones classify them."""
    with quiet(), torch.no_grad():
        return torch.export.export(network, (torch.zeros(1, 3, resolution, resolution),))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporters: deprecations inside torch, and log lines about operators of other packages."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def silence() -> Iterator[None]:
    """Silence converters of other packages too: their progress bars, warnings and log lines."""
    printed, level = io.StringIO(), logging.root.level
    logging.root.setLevel(max(level, logging.ERROR))
    try:
        with quiet(), redirect_stdout(printed), redirect_stderr(printed):
            warnings.simplefilter("ignore", UserWarning)
            yield
    finally:
        logging.root.setLevel(level)
