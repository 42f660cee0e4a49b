"""Convolution nets on a processor through OpenVINO: the same float32 sums in another order, in a fraction of the time.

Transformers gain nothing there: torch already runs them at what the processor can do.
"""

import contextlib
import io
import sys
import threading
import warnings
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_pathlupi.core.extras import load_extra
from napari_pathlupi.errors import InferenceError, words_of

if TYPE_CHECKING:
    from napari_pathlupi.patch_encoders._encoder import EncodeTiles, Loaded
    from napari_pathlupi.patch_encoders._loading import Prepared

CONVOLUTIONAL = 0.5
"""Share of its weights in convolutions from which a network counts as a convolution net (our choice)."""
INSTALL = "pip install 'napari-pathlupi[cpu-engine]'."


def openvino(part: str = "openvino") -> ModuleType:
    """Return OpenVINO, or "nncf" that belongs to it; neither sends anything to its makers.

    Raises
    ------
    MissingExtraError
        When it is absent or broken.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it reports each import otherwise
    return load_extra(part, "cpu-engine")


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


def on_openvino(loaded: "Loaded", streams: int, calibration: Tensor | None = None) -> "Loaded":
    """Return an encoder whose network runs in OpenVINO, in exact float32 unless it is calibrated for int8.

    Parameters
    ----------
    loaded
        An encoder on the processor that has a ``network``.
    streams
        Threads that call it at once; each gets a core.
    calibration
        (tiles, tile_px, tile_px, 3) uint8 from which the ranges of int8 numbers are taken; None computes exactly. The
        vectors of int8 are another encoder's, and say so in their version.

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
        model = _converted(library, prepared)
        if calibration is not None:
            model = _in_int8(model, prepared, calibration)
        compiled = _compiled(library, model, streams)
    except (RuntimeError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise InferenceError(f"OpenVINO cannot run {name} ({words_of(error)}): choose the engine torch.") from error
    encode = _encoder(compiled, prepared)
    if calibration is None:
        return replace(loaded, encode=encode, engine="openvino", network=None)
    identity = replace(loaded.identity, version=f"{loaded.identity.version}.int8")
    return replace(loaded, encode=encode, identity=identity, precision="int8", engine="openvino", network=None)


def _encoder(compiled: Any, prepared: "Prepared") -> "EncodeTiles":
    requests = threading.local()

    @torch.inference_mode()
    def encode(tiles: Tensor) -> Tensor:
        if not hasattr(requests, "mine"):
            requests.mine = compiled.create_infer_request()
        planes = prepared.prepare(tiles).contiguous().numpy()
        return torch.from_numpy(requests.mine.infer({0: planes}, share_inputs=True)[0].copy())

    return encode


def _converted(library: ModuleType, prepared: "Prepared") -> Any:
    side = prepared.preparation.input_px
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its tracing of the network
        example = torch.zeros(2, 3, side, side)
        return library.convert_model(prepared.network, example_input=example, input=[-1, 3, side, side])


def _in_int8(model: Any, prepared: "Prepared", calibration: Tensor) -> Any:
    library = openvino("nncf")
    with torch.inference_mode(), contextlib.redirect_stdout(io.StringIO()):  # it draws bars of its own
        planes = [prepared.prepare(tile[None]).contiguous().numpy() for tile in calibration]
        return library.quantize(model, library.Dataset(planes), subset_size=len(planes))


def _compiled(library: ModuleType, model: Any, streams: int) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # it takes bfloat16 by itself where the processor has it
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": str(streams),
        "INFERENCE_NUM_THREADS": str(streams),
        "ENABLE_CPU_PINNING": False,  # readers and windows need the cores, too
    }
    return library.Core().compile_model(model, "CPU", settings)
