"""Convolution nets on a processor through OpenVINO: the same float32 sums in another order, in a fraction of the time.

Transformers gain nothing there: torch already runs them at what the processor can do.
"""

import sys
import threading
import warnings
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_pathlupi.errors import InferenceError, MissingExtraError

if TYPE_CHECKING:
    from napari_pathlupi.patch_encoders._encoder import Loaded
    from napari_pathlupi.patch_encoders._loading import Prepared

CONVOLUTIONAL = 0.5
"""Share of its weights in convolutions from which a network counts as a convolution net (our choice)."""
INSTALL = "pip install 'napari-pathlupi[cpu-engine]'."


def openvino() -> ModuleType:
    """Return OpenVINO, which is told to send nothing to its makers.

    Raises
    ------
    MissingExtraError
        When it is absent or broken.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it reports each import otherwise
    try:
        import openvino as library
    except Exception as error:  # a broken library may raise anything while it is imported
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise MissingExtraError(f"OpenVINO cannot be loaded ({reason}): {INSTALL}") from error
    module: ModuleType = library
    return module


def is_convolutional(network: nn.Module) -> bool:
    """Whether most of a network's weights are in convolutions."""
    all_of_it = sum(weight.numel() for weight in network.parameters())
    of_convolutions = (
        weight.numel()
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
        for weight in module.parameters(recurse=False)
    )
    return sum(of_convolutions) > CONVOLUTIONAL * all_of_it


def on_openvino(loaded: "Loaded", streams: int) -> "Loaded":
    """Return an encoder whose network runs in OpenVINO, in exact float32.

    Parameters
    ----------
    loaded
        An encoder on the processor that has a ``network``.
    streams
        Threads that call it at once; each gets a core.

    Raises
    ------
    MissingExtraError
        When OpenVINO is absent or broken.
    InferenceError
        When it cannot run this network.
    """
    prepared, name = loaded.network, loaded.identity.name
    if prepared is None:
        raise InferenceError(f"{name} has no network that OpenVINO could run: choose the engine torch.")
    library = openvino()
    try:
        compiled = _compiled(library, prepared, streams)
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InferenceError(f"OpenVINO cannot run {name} ({reason}): choose the engine torch.") from error
    requests = threading.local()

    @torch.inference_mode()
    def encode(tiles: Tensor) -> Tensor:
        if not hasattr(requests, "mine"):
            requests.mine = compiled.create_infer_request()
        planes = prepared.prepare(tiles).contiguous().numpy()
        return torch.from_numpy(requests.mine.infer({0: planes}, share_inputs=True)[0].copy())

    return replace(loaded, encode=encode, engine="openvino", network=None)


def _compiled(library: ModuleType, prepared: "Prepared", streams: int) -> Any:
    side = prepared.preparation.input_px
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its tracing of the network
        example = torch.zeros(2, 3, side, side)
        model = library.convert_model(prepared.network, example_input=example, input=[-1, 3, side, side])
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # it takes bfloat16 by itself where the processor has it
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(streams),
        "ENABLE_CPU_PINNING": False,  # readers and windows need the cores, too
    }
    return library.Core().compile_model(model, "CPU", settings)
