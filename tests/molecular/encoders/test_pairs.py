"""Slides and what was measured of the same cases find each other: small networks, simulated from common factors."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from napari_pathlupi.catalogue import molecular_encoders, slide_encoders

FACTORS, TILES, DIM, COLUMNS, TRAINING, HELD_BACK = 6, 12, 16, 40, 160, 40
STEPS = {"rna-mlp": 40, "dna-mlp": 40, "scgpt": 160}
SMALL = {
    "rna-mlp": {"hidden": 64},
    "dna-mlp": {"hidden": 64},
    "scgpt": {"token": 32, "blocks": 1, "heads": 2, "genes_per_step": 0},
}


def cases() -> tuple[torch.Tensor, torch.Tensor]:
    """Bags of which a third of the tiles shows the factors, and expression that follows them."""
    made = torch.Generator().manual_seed(0)
    factors = torch.randn(TRAINING + HELD_BACK, FACTORS, generator=made)
    to_tiles, to_genes = (torch.randn(FACTORS, n, generator=made) for n in (DIM, COLUMNS))
    tiles = torch.randn(len(factors), TILES, DIM, generator=made)
    tiles[:, ::3] += 2 * (factors @ to_tiles)[:, None]
    genes = factors @ to_genes + 0.5 * torch.randn(len(factors), COLUMNS, generator=made)
    return tiles, genes


@pytest.mark.parametrize("name", SMALL)
def test_slides_and_molecules_of_held_back_cases_find_each_other(name):
    tiles, genes = cases()
    torch.manual_seed(0)
    slides = slide_encoders["threads"](DIM, width=32)
    molecules = molecular_encoders[name]([f"G{i}" for i in range(COLUMNS)], width=32, **SMALL[name])
    measured = (genes > 1).float() if molecules.reads == "dna" else genes + 5
    molecules.fit(measured[:TRAINING])
    optimiser = torch.optim.AdamW([*slides.parameters(), *molecules.parameters()], lr=2e-3)

    def likeness(rows: torch.Tensor) -> torch.Tensor:
        real = torch.ones(tiles[rows].shape[:2], dtype=torch.bool)
        return normalize(slides(tiles[rows], real).embedding) @ normalize(molecules(measured[rows])).T

    pairs = torch.arange(HELD_BACK)
    for _ in range(STEPS[name]):
        alike = likeness(torch.randperm(TRAINING)[: len(pairs)]) / 0.1
        optimiser.zero_grad()
        (cross_entropy(alike, pairs) + cross_entropy(alike.T, pairs)).backward()
        optimiser.step()
    slides.eval(), molecules.eval()
    with torch.no_grad():
        found = likeness(TRAINING + pairs).argsort(dim=1, descending=True)[:, :5]
    right = (found == pairs[:, None]).any(dim=1).float().mean()
    assert right > 4 * 5 / HELD_BACK  # four times as often as by chance
