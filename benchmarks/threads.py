"""Whether pre-training on RNA and DNA makes slide embeddings that tell more: real transcriptomes, simulated tiles.

Every cell pre-trains one slide encoder with the trainer of `pathlupi pretrain` in one of five worlds and tests its
embeddings on patients held back: linear probe, retrieval, molecular prompting. Mutations and copy number are simulated
from the same programmes as the tissue. A finished cell is a line of JSON under ``--out``; what is there is not computed
again. What came out stands in docs/evidence.md, whose tables ``--report`` writes.

    python benchmarks/threads.py [--quick] [--jobs 2] [--out cells.jsonl] [--report docs/evidence.md]
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from _privileged_report import write_between
from _resumed import DATA, computed, finished
from _threads_cells import TRAINED, paired_cases, plan, run_cell
from _threads_cells import make_world as world_of
from _threads_report import MARK, figures, table
from napari_pathlupi.core.settings import cache_folder
from napari_pathlupi.workflows.parallel import joined, rank
from napari_pathlupi.workflows.pretraining.pairs import Steps
from napari_pathlupi.workflows.pretraining.pretrain import begun, loss_and_gradients

STILL = {"width": 64, "heads": 2, "dropout": 0.0, "gate_dropout": 0.0}


def first_step(out: Path) -> None:
    """Write the loss of the first step and its gradients, of all processes together, without dropout."""
    torch.set_num_threads(1)
    with joined("cpu"):
        cases = paired_cases(world_of(DATA, 0), 0, False)
        still = {kind: replace(one, encoder=_still(one.encoder)) for kind, one in cases.molecules.items()}
        cases, config = replace(cases, molecules=still), replace(TRAINED, settings=STILL)
        state = begun(cases, config)
        loss, _ = loss_and_gradients(state, next(Steps(cases, config).of_epoch(0)), config)
        gradients = [parameter.grad.flatten() for parameter in state.model.parameters() if parameter.grad is not None]
        if not rank():
            np.save(out, torch.cat([torch.tensor([loss]), *gradients]).numpy())


def _still(encoder: Any) -> Any:
    return encoder.model_copy(update={"settings": {**encoder.settings, "dropout": 0.0}})


def ddp_max_difference() -> float:
    """Return how far loss and gradients of two processes are from those of one, at most."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        for count in (1, 2):
            at = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
            command = [sys.executable, __file__, "--first-step", f"{folder}/{count}.npy"]
            ranks = [os.environ | at | {"RANK": str(i), "LOCAL_RANK": str(i)} for i in range(count)]
            started = [subprocess.Popen(command, env=environment) for environment in ranks]
            if any(process.wait() for process in started):
                raise SystemExit("the processes could not be compared: see above.")
        one, two = (np.load(f"{folder}/{count}.npy").astype(np.float64) for count in (1, 2))
    return float(np.abs(one - two).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two worlds and a sixth of the epochs; no second process")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=cache_folder() / "threads.jsonl", help="finished cells")
    parser.add_argument("--report", type=Path, help="document whose tables are written anew; nothing is computed")
    parser.add_argument("--first-step", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if chosen.first_step:
        first_step(chosen.first_step)
        return
    cells, lines = plan(chosen.quick), finished(chosen.out)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    wanted = [] if chosen.report else [cell for cell in cells if cell.digest not in lines]
    with chosen.out.open("a", encoding="utf-8") as file:
        for done, line in enumerate(computed(run_cell, wanted, chosen.jobs), start=1):
            file.write(json.dumps(line) + "\n")
            file.flush()
            lines[line["digest"]] = line
            print(f"{done} of {len(wanted)}: world {line['seed']}, {line['name']}", flush=True)
    known = [lines[cell.digest] for cell in cells if cell.digest in lines]
    if chosen.report:
        write_between(chosen.report, MARK, table(known, DATA))
    print("\n".join(table(known, DATA)))
    difference = None if chosen.quick or chosen.report else ddp_max_difference()
    print("RESULT " + json.dumps(figures(known, DATA, chosen.quick) | {"ddp_max_difference": difference}))


if __name__ == "__main__":
    main()
