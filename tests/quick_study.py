"""A small cohort on disk whose label one odd tile decides, and whose expression tells of the same tile."""

from pathlib import Path

import numpy as np
import pandas as pd

from feature_files import write_h5

DIM, TILES, GENES = 8, 6, 24


def write_study(
    folder: Path, cases: int = 30, *, unlabelled: int = 4, without_rna: int = 6, endpoint: str = "label", seed: int = 0
) -> Path:
    """Write cohort.csv, features/, rna.csv, sets.gmt and study.toml, and return the last.

    The last cases have no label, those before them no expression.
    """
    rng = np.random.default_rng(seed)
    names = [f"case-{i:03d}" for i in range(cases)]
    labels = np.arange(cases) % 2
    hidden = rng.normal(size=(cases, 4)) + np.array([2.0, 0, 0, 0]) * (2 * labels[:, None] - 1)
    (folder / "features").mkdir(parents=True)
    at = {"patch_size": 256, "patch_size_level0": 256, "target_magnification": 20}
    for name, traces in zip(names, hidden, strict=True):
        bag = rng.normal(size=(TILES, DIM)).astype(np.float32)
        bag[0, 0] += 4
        bag[0, 1:5] = traces
        corners = np.stack(np.divmod(np.arange(TILES), 3), axis=1) * 256
        write_h5(folder / "features" / f"{name}.h5", {"features": bag, "coords": corners}, coords=at)
    table = pd.DataFrame({"case_id": names, "site": [f"s{i % 3}" for i in range(cases)]})
    known = np.arange(cases) < cases - unlabelled
    if endpoint == "label":
        table["label"] = np.where(known, np.where(labels == 1, "B", "A"), "")
    else:
        time = np.exp(3 - hidden[:, 0] + 0.3 * rng.normal(size=cases))
        table["months"] = np.where(known, np.round(time, 2).astype(str), "")
        table["died"] = np.where(known, (rng.random(cases) < 0.8).astype(int).astype(str), "")
    table.to_csv(folder / "cohort.csv", index=False)
    genes = hidden @ rng.normal(size=(4, GENES)) + 0.3 * rng.normal(size=(cases, GENES)) + 5
    measured = [i for i in range(cases) if not cases - unlabelled - without_rna <= i < cases - unlabelled]
    rna = pd.DataFrame(genes.clip(0), index=pd.Index(names, name="case_id"), columns=[f"GENE{i}" for i in range(GENES)])
    rna.iloc[measured].to_csv(folder / "rna.csv")
    sets = [f"SET_{k}\tplanted\t" + "\t".join(f"GENE{i}" for i in range(6 * k, 6 * k + 6)) for k in range(GENES // 6)]
    (folder / "sets.gmt").write_text("\n".join(sets) + "\n")
    (folder / "study.toml").write_text(_toml(endpoint))
    return folder / "study.toml"


def _toml(endpoint: str) -> str:
    task = (
        '[task]\ncolumns = ["label"]'
        if endpoint == "label"
        else ('[task]\nname = "survival"\ncolumns = ["months"]\nevent = "died"\nsettings = { bins = 3 }')
    )
    return f"""[cohort]
table = "cohort.csv"
bags = "features"
[features]
encoder = "planted"
mpp = 0.5
tile_px = 256
[expression]
table = "rna.csv"
unit = "log2(TPM+1)"
genes_in = "columns"
gene_sets = "sets.gmt"
{task}
[folds]
folds = 2
validation = 0.25
[training]
rna_steps = 10
steps = 20
batch = 8
save_every = 7
settings = {{ width = 8, hidden = 4, dropout = 0.1 }}
[run]
out = "run"
"""
