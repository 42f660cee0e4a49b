"""Two processes, as torchrun starts them, train what one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from napari_pathlupi.bundle import load_bundle
from napari_pathlupi.workflows.study import train_study
from napari_pathlupi.workflows.study_file import read_study
from quick_study import write_study

SHORT_WITHOUT_DROPOUT = [
    "training.settings={ width = 8, hidden = 4, dropout = 0.0 }",
    "training.rna_steps=4",
    "training.steps=6",
    "run.storage=float32",
    'run.attention=""',
]


def test_two_processes_train_the_same_model_as_one(tmp_path: Path) -> None:
    study = write_study(tmp_path / "study")
    changes = [part for change in [*SHORT_WITHOUT_DROPOUT, 'run.out="two"'] for part in ("--set", change)]
    command = [sys.executable, "-m", "napari_pathlupi.cli", "train", str(study), *changes]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    given = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(command, env=os.environ | given | {"RANK": rank}, stdout=subprocess.PIPE, text=True)
        for rank in ("0", "1")
    ]
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert "Next: pathlupi evaluate" in said[0] and not said[1]
    single = train_study(read_study(study, SHORT_WITHOUT_DROPOUT))
    one, two = load_bundle(single / "model"), load_bundle(study.parent / "two/model")
    for name, tensor in one.tensors.items():
        np.testing.assert_allclose(two.tensors[name], tensor, atol=1e-5, err_msg=name)
    losses = [pd.read_json(study.parent / run / "log.jsonl", lines=True)["loss"].dropna() for run in ("run", "two")]
    np.testing.assert_allclose(*losses, atol=1e-5)
