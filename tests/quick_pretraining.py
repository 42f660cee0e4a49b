"""Cases whose tiles, RNA and DNA tell of the same hidden numbers: in memory, and as files; two processes on them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from feature_files import write_h5
from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.workflows.parallel import joined, processes, rank
from napari_pathlupi.workflows.pretraining.config import PretrainConfig
from napari_pathlupi.workflows.pretraining.pairs import Molecules, PairedCases, Steps
from napari_pathlupi.workflows.pretraining.pretrain import begun, loss_and_gradients

DIM, GENES, ALTERED, HIDDEN = 8, 20, 14, 3
IDENTITY = EncoderIdentity("planted", "1", DIM, 256, 0.5)
QUICK = PretrainConfig(
    settings={"width": 12, "heads": 2},
    temperature=0.1,
    epochs=3,
    warm_up=1,
    batch=8,
    tiles=6,
    learning_rate=3e-3,
    readers=2,
)
STILL = replace(QUICK, settings={"width": 12, "heads": 2, "dropout": 0.0, "gate_dropout": 0.0})
"""Without anything random in the slide encoder; the molecular encoders of `planted` have no dropout either."""


def planted(count: int, seed: int = 0, without_rna: int = 3, without_dna: int = 5) -> PairedCases:
    """Tile 0 is odd and holds the hidden numbers; the first cases have no RNA, the last no DNA."""
    rng, mixing = np.random.default_rng(seed), np.random.default_rng(1)
    hidden = rng.normal(size=(count, HIDDEN))
    bags = []
    for traces in hidden:
        bag = rng.normal(size=(int(rng.integers(4, 12)), DIM)).astype(np.float32)
        bag[0, 0], bag[0, 1 : 1 + HIDDEN] = 5, 2 * traces
        bags.append(bag)
    rna = (hidden @ mixing.normal(size=(HIDDEN, GENES)) + 5).astype(np.float32)
    dna = (hidden @ mixing.normal(size=(HIDDEN, ALTERED)) > 0).astype(np.float32)
    rna[:without_rna], dna[count - without_dna :] = np.nan, np.nan
    parts = [CataloguePart(name=name, settings={"hidden": 10, "dropout": 0.0}) for name in ("rna-mlp", "dna-mlp")]
    molecules = {
        "rna": Molecules(parts[0], tuple(f"GENE{i}" for i in range(GENES)), rna),
        "dna": Molecules(parts[1], tuple(f"G{i // 7} {i % 7}" for i in range(ALTERED)), dna),
    }
    return PairedCases(bags, IDENTITY, molecules)


def gradients_of(config: PretrainConfig) -> dict[str, np.ndarray]:
    """The loss of the second step of the first epoch and its gradients, by name; of all processes together."""
    cases = planted(16)
    state, steps = begun(cases, config), Steps(cases, config)
    step = list(steps.of_epoch(0))[1]
    loss, slides = loss_and_gradients(state, step, config)
    found = {name: parameter.grad.numpy() for name, parameter in state.model.named_parameters()}
    return found | {"loss": np.array(loss), "slides": slides.numpy(), "processes": np.array(processes())}


def gradients_of_two(folder: Path, config: PretrainConfig) -> dict[str, np.ndarray]:
    """The same of two processes, started as torchrun starts them."""
    port = str(29500 + os.getpid() % 2000)
    at = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    still = str(int(config is STILL))
    command = [sys.executable, __file__, str(folder), still]
    started = [
        subprocess.Popen(command, env=os.environ | at | {"RANK": str(i), "LOCAL_RANK": str(i), "PYTHONPATH": path})
        for i in range(2)
    ]
    codes = [process.wait(timeout=120) for process in started]
    assert codes == [0, 0]
    return dict(np.load(folder / "gradients.npz"))


def write_pretraining(folder: Path, count: int = 16) -> Path:
    """Write features/, rna.csv, a MAF, copy numbers, a panel and pretraining.toml, and return the last.

    case-000 has two slides; three cases are in the tables alone, and two slides are of nobody.
    """
    cases = planted(count, without_rna=0, without_dna=0)
    names = [f"case-{i:03d}" for i in range(count)]
    at = {"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20}
    for name, bag in zip(
        [*names, "case-000.second", "nobody-1", "nobody-2"], [*cases.tiles, *cases.tiles[:3]], strict=True
    ):
        corners = np.stack(np.divmod(np.arange(len(bag)), 3), axis=1) * 256
        write_h5(folder / "features" / f"{name}.h5", {"features": bag, "coords": corners}, coords=at)
    everybody = [*names, "gone-1", "gone-2", "gone-3"]
    rna = cases.molecules["rna"]
    table = pd.DataFrame(rna.values, index=pd.Index(names, name="case_id"), columns=rna.columns)
    table.reindex(everybody[2:]).fillna(5.0).to_csv(folder / "rna.csv")
    copies = pd.DataFrame({name: [-2, 0] if i % 2 else [1, 2] for i, name in enumerate(everybody)}, index=["G0", "G1"])
    copies.rename_axis("Hugo_Symbol").to_csv(folder / "data_cna.txt", sep="\t")
    (folder / "panel.txt").write_text("G0\nG1\n")
    (folder / "pretraining.toml").write_text(_TOML)
    return folder / "pretraining.toml"


_TOML = """[slides]
bags = "features"
[features]
encoder = "planted"
mpp = 0.5
tile_px = 256
[rna]
table = "rna.csv"
unit = "log2(TPM+1)"
genes_in = "columns"
settings = { hidden = 10 }
[dna]
copy_number = "data_cna.txt"
panel = "panel.txt"
settings = { hidden = 10 }
[training]
settings = { width = 12, heads = 2 }
epochs = 2
warm_up = 0
batch = 8
learning_rate = 1e-3
[run]
out = "run"
"""


def main() -> None:
    torch.set_num_threads(1)
    with joined("cpu"):
        found = gradients_of(STILL if sys.argv[2] == "1" else QUICK)
        if not rank():
            np.savez(Path(sys.argv[1], "gradients.npz"), **found)


if __name__ == "__main__":
    main()
