"""Ask a model about a slide of any number of tiles, in memory that hardly grows with it."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_pathlupi.core.gene_sets import OF_ACTIVITY, OF_TOKENS, unknown_words
from napari_pathlupi.core.results import Answer, ReferenceCheck
from napari_pathlupi.errors import InferenceError, MismatchError, OutputError
from napari_pathlupi.molecular.objectives.reconstruction import Reconstruction
from napari_pathlupi.slide_encoders._stream import Stream, precise
from napari_pathlupi.workflows.prediction.ensemble import Ensemble
from napari_pathlupi.workflows.prediction.model import SlideModel, device_failures


class Bag(Protocol):
    """Tile vectors that can be read in parts: an array, a memory-mapped file, an array of a store."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, dim)."""

    def __getitem__(self, part: slice) -> npt.ArrayLike:
        """Return some of the rows."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """How a slide is read in parts.

    Parameters
    ----------
    batch
        Tiles per part.
    seconds
        Least time between two provisional answers where each takes passes of its own (our choice). The tiles must also
        have doubled since, so that all of them together cost no more than the answer itself.
    maps
        Gene sets whose maps are wanted: of an encoder with a token for each, or with a linear head for each.
    maps_to
        File, ``.npy``, for the maps of *all* gene sets, (sets, N) float32, written as they come; "" for none. Of an
        encoder with tokens only.
    """

    batch: int = 4096
    seconds: float = 2.0
    maps: Sequence[str] = ()
    maps_to: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Streamed:
    """What a model says of the tiles so far.

    Parameters
    ----------
    answer, outputs
        As of `SlideOutput`.
    read, tiles
        How many tiles the answer rests on, and how many there are.
    attention, evidence
        (N,) and (N, C) float32, at the end and where the slide encoder tells them.
    maps
        (N,) float32 for the gene sets asked for; at the end.
    maps_method
        What they are: `OF_TOKENS` or `OF_ACTIVITY`; with the bias of its head, the latter adds up to the activity.
    activity, reference
        As of `SlideOutput`, at the end.
    """

    answer: Answer
    outputs: npt.NDArray[np.float32]
    read: int
    tiles: int
    attention: npt.NDArray[np.float32] | None = None
    evidence: npt.NDArray[np.float32] | None = None
    maps: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    maps_method: str = ""
    activity: Mapping[str, float] | None = None
    reference: ReferenceCheck | None = None

    @property
    def provisional(self) -> bool:
        """Whether there is more to be read, or to be told of what was."""
        return self.reference is None


def infer_stream(model: SlideModel | Ensemble, bag: Bag, config: StreamConfig | None = None) -> Iterator[Streamed]:
    """Yield what a model says of a slide, better and better; the last one is whole.

    Of an encoder that pools in one pass, every answer is exact for the tiles so far and costs nothing. Of one that
    takes several passes, an answer for the tiles so far is made now and then.

    Parameters
    ----------
    model
        In evaluation mode. Of an ensemble, the members read in step and are averaged as in `Ensemble.infer`; where each
        takes several passes, there is no answer before the last.
    bag
        (N, dim) vectors of its patch encoder, of any float type; memory-mapped, they are never in memory as a whole.
    config
        How to read them.

    Raises
    ------
    MismatchError
        When the vectors are of another length, the slide encoder reads no parts, or a gene set is none of its own.
    InferenceError
        When there is no tile, a number is not finite, or the device fails.
    OutputError
        When the file of maps cannot be written.
    """
    config = config or StreamConfig()
    if isinstance(model, Ensemble):
        yield from _together(model, bag, config)
        return
    reading = _Reading(model, bag, config)
    if reading.stream().passes == 1:
        yield from reading.in_one_pass()
    else:
        yield from reading.in_several_passes()


def _together(ensemble: Ensemble, bag: Bag, config: StreamConfig) -> Iterator[Streamed]:
    if config.maps_to and len(ensemble.models) > 1:
        raise MismatchError("each model of an ensemble has maps of its own to write: ask for some by their names.")
    fullest = next((model for model in ensemble.models if model.objective is not None), ensemble.models[0])
    if _Reading(fullest, bag, config).stream().passes > 1:
        config = replace(config, seconds=math.inf)
    bare = replace(config, maps=())
    readings = (infer_stream(one, bag, config if one.objective is not None else bare) for one in ensemble.models)
    for said in zip(*readings, strict=True):
        outputs = np.stack([one.outputs for one in said])
        mean, spread = outputs.mean(axis=0), torch.from_numpy(outputs) if len(said) > 1 else None
        answer = ensemble.models[0].task.answer(torch.from_numpy(mean), ensemble.calibration, spread)
        whole = replace(said[0], answer=answer, outputs=mean)
        yield whole if whole.provisional else _averaged(whole, said, ensemble.reference_limit)


def _averaged(whole: Streamed, said: Sequence[Streamed], limit: float) -> Streamed:
    """The last answer of all members."""
    attention = [one.attention for one in said if one.attention is not None]
    evidence = [one.evidence for one in said if one.evidence is not None]
    told, mapped = [one.activity for one in said if one.activity], [one for one in said if one.maps]
    return replace(
        whole,
        attention=np.mean(attention, axis=0) if attention else None,
        evidence=np.mean(evidence, axis=0) if evidence else None,
        maps={name: np.mean([one.maps[name] for one in mapped], axis=0) for name in next(iter(mapped), whole).maps},
        maps_method=next(iter(mapped), whole).maps_method,
        activity={name: float(np.mean([one[name] for one in told])) for name in told[0]} if told else {},
        reference=ReferenceCheck(float(np.mean([one.reference.distance for one in said if one.reference])), limit),
    )


class _Reading:
    def __init__(self, model: SlideModel, bag: Bag, config: StreamConfig) -> None:
        dim = len(model.feature_mean)
        if len(bag.shape) != 2 or bag.shape[1] != dim:
            raise MismatchError(f"the model reads tiles of {dim} numbers, got an array of shape {bag.shape}.")
        if not bag.shape[0]:
            raise InferenceError("0 tiles: a model needs at least one; embed the slide again.")
        self.model, self.bag, self.config, self.count = model, bag, config, bag.shape[0]
        self.names, self.weight = self._maps()

    def _maps(self) -> tuple[tuple[str, ...], Tensor]:
        """Which gene sets have maps, and what evidence is asked for: of the outputs and of those sets."""
        model, wanted, names = self.model, self.config.maps, self.model.mapped_sets
        linear = not model.slide_encoder.token_shape[0]
        if strange := [name for name in wanted if name not in names]:
            raise MismatchError(unknown_words(strange, names))
        if self.config.maps_to and (linear or not names):
            raise MismatchError(
                "only a model with a token for each gene set writes all their maps: ask for some by their names."
            )
        rows = model.head.weight
        if linear and wanted:
            assert isinstance(model.objective, Reconstruction)
            rows = torch.cat([rows, model.objective.heads.weight[[names.index(name) for name in wanted]]])
        return names, rows.detach()

    def stream(self) -> Stream:
        return self.model.slide_encoder.stream(self.weight)

    def parts(self, end: int) -> Iterator[tuple[int, Tensor]]:
        """The standardised vectors up to a tile, with the number of the first of each part."""
        for start in range(0, end, self.config.batch):
            part = np.array(self.bag[start : min(start + self.config.batch, end)], dtype=np.float32)
            if not np.isfinite(part).all():
                raise InferenceError(
                    f"numbers that are not finite among the tiles from {start} on: embed the slide again."
                )
            yield start, self.model.standardise(torch.from_numpy(part).to(self.model.device))

    def in_one_pass(self) -> Iterator[Streamed]:
        stream, total = self.stream(), torch.zeros(self.bag.shape[1], dtype=torch.float64)
        for start, part in self.parts(self.count):
            with device_failures(str(self.model.device)), torch.no_grad():
                stream.add(part)
                total += precise(part.sum(dim=0))
                said = self.said(stream, start + len(part))
            yield said
        yield self.whole(stream, total)

    def in_several_passes(self) -> Iterator[Streamed]:
        stream, total = self.stream(), torch.zeros(self.bag.shape[1], dtype=torch.float64)
        answered, last = 0, time.monotonic()
        for start, part in self.parts(self.count):
            end = start + len(part)
            with device_failures(str(self.model.device)), torch.no_grad():
                stream.add(part)
                total += precise(part.sum(dim=0))
            if end < self.count and end >= 2 * answered and time.monotonic() - last >= self.config.seconds:
                yield self.said(self.passed(self.stream(), end), end)
                answered, last = end, time.monotonic()
        with device_failures(str(self.model.device)), torch.no_grad():
            stream.turn()
        yield self.whole(self.passed(stream, self.count), total)

    def passed(self, stream: Stream, end: int) -> Stream:
        """A stream after its other passes over the tiles up to one."""
        while stream.done < stream.passes:
            for _, part in self.parts(end):
                with device_failures(str(self.model.device)), torch.no_grad():
                    stream.add(part)
            with device_failures(str(self.model.device)), torch.no_grad():
                stream.turn()
        return stream

    def said(self, stream: Stream, read: int) -> Streamed:
        with torch.no_grad():
            outputs = self.model.head(stream.encoded().embedding)[0]
        return Streamed(self.model.task.answer(outputs), outputs.cpu().numpy(), read, self.count)

    def whole(self, stream: Stream, total: Tensor) -> Streamed:
        model, objective = self.model, self.model.objective
        with device_failures(str(model.device)), torch.no_grad():
            said, encoded = self.said(stream, self.count), stream.encoded()
            activity = objective.activity(model.anchor(encoded)) if objective is not None else None
            attention, evidence = stream.attention(), stream.evidence()
            distance = float(model.reference((total / self.count).to(model.feature_mean)))
        told = np.empty((self.count, 0), np.float32) if evidence is None else evidence.cpu().numpy()
        maps = dict(zip(self.config.maps, told[:, model.task.outputs :].T, strict=False))
        looked, method = None if attention is None else attention.cpu().numpy(), OF_ACTIVITY
        if attention is None and model.slide_encoder.gives_attention:
            (looked, maps), method = self.looked(stream), OF_TOKENS
        return Streamed(
            answer=said.answer,
            outputs=said.outputs,
            read=self.count,
            tiles=self.count,
            attention=looked,
            evidence=None if evidence is None else told[:, : model.task.outputs],
            maps=maps,
            maps_method=method if maps else "",
            activity={} if activity is None else dict(zip(model.gene_sets, activity[0].tolist(), strict=True)),
            reference=ReferenceCheck(distance, model.reference_limit),
        )

    def looked(self, stream: Stream) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[np.float32]]]:
        """The mean share of each tile, and the maps asked for, in one more pass."""
        attention = np.empty(self.count, np.float32)
        maps = {name: np.empty(self.count, np.float32) for name in self.config.maps}
        everything = self._file() if self.config.maps_to else None
        for start, part in self.parts(self.count):
            with device_failures(str(self.model.device)), torch.no_grad():
                shares = stream.look(part)
                assert shares is not None
                heads = shares.cpu().numpy()
            here = slice(start, start + len(part))
            attention[here] = heads.mean(axis=0)
            for name, values in maps.items():
                values[here] = heads[self.names.index(name)]
            if everything is not None:
                everything[:, here] = heads
        return attention, maps

    def _file(self) -> npt.NDArray[np.float32]:
        path, shape = Path(self.config.maps_to), (len(self.names), self.count)
        try:
            mapped = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
        except OSError as error:
            raise OutputError(f"cannot write the maps to {path}: {error.strerror}; choose another file.") from error
        return mapped
