"""How a slide encoder is pre-trained on what was measured of its cases, and the sections of the file that says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.interchange._told import Stated
from napari_pathlupi.molecular.dna import AlterationFiles
from napari_pathlupi.molecular.tables import ReadingOptions
from napari_pathlupi.slide_encoders.threads import PAPER_HEADS, PAPER_WIDTH
from napari_pathlupi.workflows.training.train_config import must_be_at_least, must_have_precision

RANK, LAST = "rank", "last"


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """How to pre-train: Threads (arXiv 2501.16652, Online Methods), and our choice where a field says so.

    Parameters
    ----------
    slide_encoder, settings
        Name in the catalogue, and what to build it with; the paper's size is width 1024 and 2 heads.
    temperature
        What cosines are divided by. The paper's is lost; 0.01 is TANGLE's (CLIP begins with 0.07). It is not learned.
    epochs
        How often every case is seen; the paper's limit.
    warm_up
        Epochs in which the rate rises from 0, and after which the rank of the embeddings begins to choose the epoch.
    batch
        Cases per step over all processes; the paper has 4 times 300. What is left of an epoch waits for the next.
    accumulate
        Parts that each process computes its share of a step in, to save memory. Every part is still compared with the
        whole step, for one more forward pass.
    tiles
        Tiles drawn from each case per step, all where it has fewer. The paper's number is lost; its fine-tuning, TANGLE
        and MADELEINE take 2048.
    learning_rate
        The peak. The paper's text says 1e-5, its table seems to say 5e-5.
    end_rate
        What the rate falls to as a cosine. The paper's is lost; 1e-8 is TANGLE's and MADELEINE's.
    beta2
        Of AdamW (beta1 is 0.9). The paper's is lost; 0.999 is our choice, 0.98 is usual too.
    weight_decay
        Of AdamW, for all networks. The paper's for slides and DNA; that for RNA is lost.
    clip
        Most that the gradient's norm may be; 0 for no limit. Our choice.
    choose
        Which epoch is taken: "rank", the one whose slide embeddings fill the most directions after the warm-up, as the
        paper does; or "last".
    seed
        Of weights, order, drawn tiles and dropout: the same seed gives the same encoder on the same device.
    device
        "cpu", "cuda" or "mps".
    amp
        Mixed precision on CUDA: "bf16", "fp16", or "" for none.
    readers
        Threads that read the tiles of the next step while this one is computed.
    """

    slide_encoder: str = "threads"
    settings: Mapping[str, Any] = field(default_factory=lambda: {"width": PAPER_WIDTH, "heads": PAPER_HEADS})
    temperature: float = 0.01
    epochs: int = 101
    warm_up: int = 5
    batch: int = 1200
    accumulate: int = 1
    tiles: int = 2048
    learning_rate: float = 1e-5
    end_rate: float = 1e-8
    beta2: float = 0.999
    weight_decay: float = 1e-4
    clip: float = 1.0
    choose: str = RANK
    seed: int = 0
    device: str = "cpu"
    amp: str = ""
    readers: int = 4

    def __post_init__(self) -> None:
        must_have_precision(self.amp, self.device)
        least = {"epochs": 1, "warm_up": 0, "batch": 2, "accumulate": 1, "tiles": 1, "readers": 1, "clip": 0}
        must_be_at_least(self, least)
        if self.choose not in (RANK, LAST):
            raise SettingsError(
                f"an epoch cannot be chosen by {self.choose!r}: by {RANK!r}, or {LAST!r} takes the last."
            )
        if not (self.temperature > 0 and self.learning_rate > 0):
            raise SettingsError("temperature and learning_rate must be above 0.")
        if not (0 <= self.beta2 < 1 and self.weight_decay >= 0 and self.end_rate >= 0):
            raise SettingsError(
                f"beta2 is {self.beta2:g}, weight_decay {self.weight_decay:g}, end_rate {self.end_rate:g}: "
                "the first must be from 0 to below 1, the others 0 or more."
            )


@dataclass(frozen=True, slots=True)
class SlidesPart:
    """Where the tile features lie, and whose they are.

    Parameters
    ----------
    bags
        Folder of features, a file per slide (TRIDENT, CLAM and others, or .npy), or a store of `pathlupi embed`, also
        at an address such as s3://bucket/features.zarr.
    table
        Table that says whose each slide is; empty: a slide is the case's whose name it begins with.
    case, slide
        Its columns, where they are not called as usual.
    leave_out
        File of cases that nothing is learned from, one per line: those that the encoder will be tested on.
    """

    bags: str = "features"
    table: str = ""
    case: str = ""
    slide: str = ""
    leave_out: str = ""


@dataclass(frozen=True, slots=True)
class RNAPart(ReadingOptions):
    """The transcriptomes.

    Parameters
    ----------
    table
        Cases × genes or genes × cases (CSV, TSV, Parquet, gz); empty: none.
    panel
        File of the genes to take, one symbol per line or GMT; empty: those that vary most.
    most_variable
        How many these are; 0 for all. The paper takes 5,000 for GTEx and a panel of 4,917 for TCGA.
    encoder, settings
        Name in the catalogue, rna-mlp or scgpt, and what to build it with.
    weights
        Folder of a published scGPT (best_model.pt, args.json, vocab.json) that the encoder scgpt begins with; of the
        genes those it knows are taken. Empty: it begins anew.
    """

    table: str = ""
    panel: str = ""
    most_variable: int = 5000
    encoder: str = "rna-mlp"
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""

    def __post_init__(self) -> None:
        ReadingOptions.__post_init__(self)
        if self.weights and self.encoder != "scgpt":
            raise SettingsError(f"rna.weights are those of scgpt, rna.encoder is {self.encoder}: give one of the two.")


@dataclass(frozen=True, slots=True)
class DNAPart(AlterationFiles):
    """Mutations and copy number.

    Parameters
    ----------
    panel
        File of the genes, one symbol per line, GMT or cBioPortal's; needed with either file.
    encoder, settings
        Name in the catalogue, and what to build it with.
    """

    panel: str = ""
    encoder: str = "dna-mlp"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PretrainRun:
    """What comes of it.

    Parameters
    ----------
    out
        Folder of the run.
    title
        What the encoder is called.
    licence
        Of the encoder, in words.
    memory_gb
        Features that are kept in memory, at most, beside two steps of drawn tiles; others are read again when needed.
    """

    out: str = "pretraining"
    title: str = "Pre-trained slide encoder"
    licence: str = "not stated"
    memory_gb: float = 2.0

    def __post_init__(self) -> None:
        if not self.memory_gb > 0:
            raise SettingsError(f"run.memory_gb is {self.memory_gb:g}: give a number above 0.")


@dataclass(frozen=True, slots=True)
class PretrainStudy:
    """A pre-training: a section of its file for each field.

    Parameters
    ----------
    slides, features, rna, dna, training, run
        The sections; ``features`` says what files of features do not.
    """

    slides: SlidesPart = field(default_factory=SlidesPart)
    features: Stated = field(default_factory=Stated)
    rna: RNAPart = field(default_factory=RNAPart)
    dna: DNAPart = field(default_factory=DNAPart)
    training: PretrainConfig = field(default_factory=PretrainConfig)
    run: PretrainRun = field(default_factory=PretrainRun)

    def rooted(self, folder: Path) -> "PretrainStudy":
        """Return the pre-training with its relative paths begun at a folder."""
        places = {
            "slides": ("bags", "table", "leave_out"),
            "rna": ("table", "panel", "probe_map", "weights"),
            "dna": ("mutations", "copy_number", "sequenced", "patients", "panel"),
            "run": ("out",),
        }
        changed: dict[str, Any] = {}
        for section in fields(self):
            part = getattr(self, section.name)
            names = [name for name in places.get(section.name, ()) if getattr(part, name)]
            changed[section.name] = replace(part, **{name: _full(folder, getattr(part, name)) for name in names})
        return replace(self, **changed)


def _full(folder: Path, place: str) -> str:
    return place if "://" in place else str(folder / place)
