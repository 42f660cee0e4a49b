"""Two processes, as torchrun starts them, train what one does."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = """
import sys
import numpy as np
from napari_pathlupi.bundle import CataloguePart
from napari_pathlupi.core.features import EncoderIdentity
from napari_pathlupi.core.progress import run
from napari_pathlupi.workflows.parallel import joined, rank
from napari_pathlupi.workflows.training.train import HeldOut, TrainConfig, TrainingCases, Watch, watched_steps

rng = np.random.default_rng(0)
bags = [rng.normal(size=(5 + i % 4, 6)).astype(np.float32) for i in range(21)]
wanted, targets = np.arange(21.0)[:, None] % 2, rng.normal(size=(21, 3))
wanted[::5], targets[::4] = np.nan, np.nan
task = CataloguePart(name="classification", settings={"classes": ["A", "B"]})
cases = TrainingCases(bags, EncoderIdentity("planted", "", 6, 256, 0.5), task, wanted, targets, ("a", "b", "c"))
config = TrainConfig(settings={"width": 8, "dropout": 0.0}, rna_steps=4, steps=8, batch=7, tiles=6)
with joined("cpu"):
    trained = run(watched_steps(cases, config, Watch(HeldOut(bags, wanted))))
    if not rank():
        numbers = {name: tensor.numpy() for name, tensor in trained.model.state_dict().items()}
        np.savez(sys.argv[1], checks=np.array(trained.checks), **numbers)
"""


def trained(path: Path, processes: int) -> dict[str, np.ndarray]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    given = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", SCRIPT, str(path)]
    started = [subprocess.Popen(command, env=os.environ | given | {"RANK": str(i)}) for i in range(processes)]
    assert [process.wait() for process in started] == [0] * processes
    with np.load(path) as file:
        return dict(file)


def test_two_processes_train_the_same_model_as_one_with_the_same_losses(tmp_path: Path) -> None:
    one, two = (trained(tmp_path / f"{count}.npz", count) for count in (1, 2))
    for name, numbers in one.items():
        np.testing.assert_allclose(two[name], numbers, atol=1e-5, err_msg=name)
