"""Make the cards of the patch encoders again from the catalogue: ``python docs/make_encoder_cards.py``."""

from pathlib import Path

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders._encoder import PatchEncoder
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder

FILE = Path(__file__).parent / "models/encoders.md"

BEGIN = """# The patch encoders

Made from the catalogue by `docs/make_encoder_cards.py`; a test fails when this page and the catalogue differ.
`pathlupi encoders list` and `pathlupi encoders show NAME` print the same with the state on your machine.

**None of the networks below was run with its real weights here.** What was tested instead: each is built, and its
number of parameters compared with the published one where the card gives it (to one unit of the last digit); pooling,
and the leaving out of register tokens, against a reference written out by hand, on random weights; networks published
for `transformers` (Phikon, Hibou, Midnight) against `transformers` itself, on small random networks; the preparation
of a tile against Pillow, for every combination of sizes and filters (at most two grey levels apart, in one value of a
hundred on a processor and one of twenty elsewhere). To compare a real one with another program:

```console
pathlupi encoders check NAME       # first values, norm and digest of the vector of a tile that is the same everywhere
```

## Getting the weights

```console
pip install -c constraints.txt 'napari-pathlupi[encoders]'    # timm and huggingface-hub
pathlupi encoders get phikon                                  # asks, then downloads from the Hugging Face Hub
pathlupi encoders use uni2-h /data/uni2-h/pytorch_model.bin   # or: a file or folder that you have
```

* Nothing is downloaded without a yes, in the terminal or by a click in the panel, and nothing here waits for a
  network at its start.
* Your token is read from `HF_TOKEN` or from `hf auth login`; `HF_ENDPOINT` names another Hub, `HF_HOME` another
  cache.
* `PATHLUPI_WEIGHTS` names a folder in which a file or folder is called like the encoder (`uni2-h.bin`, `uni2-h/`), by
  TRIDENT's name or like its repository (`UNI2-h/`). It outranks what `pathlupi encoders use` keeps in `encoders.json`
  of your settings folder, and that the cache of the Hub.
* Files are safetensors, or torch files that hold nothing but tensors. Every tensor must have its place and every
  place its tensor, else the file is refused with the first difference named. No code is ever taken from the Hub.
* The SHA-256 of the tensors (names, types, shapes and bytes, whatever kind of file they came in) is part of the
  encoder's version, in every bag of features and every model: features of other weights are refused.
* On a CUDA device a network computes in the type on its card where the card is fast at it (float16 from Volta on,
  bfloat16 from Ampere on), everywhere else in float32.

Licences are the publishers' own and are repeated here without warranty: read them where the weights are given out.
"""


def page() -> str:
    """Return the whole page."""
    head = "| name | in TRIDENT | vector | tile | µm/px | licence | parameters |\n|---|---|---|---|---|---|---|"
    rows = "\n".join(_row(name, entry) for name, entry in patch_encoders.items())
    cards = "\n\n".join(_card(name, entry) for name, entry in patch_encoders.items())
    return f"{BEGIN}\n## At a glance\n\n{head}\n{rows}\n\n## Card by card\n\n{cards}\n"


def _row(name: str, entry: PatchEncoder) -> str:
    parameters = entry.weights.parameters if isinstance(entry, PretrainedEncoder) else "none"
    cells = (
        f"`{name}`",
        ", ".join(f"`{alias}`" for alias in entry.aliases),
        str(entry.dim),
        f"{entry.tile_px} px",
        f"{entry.mpp:g}",
        f"{entry.licence}{' (on request)' if entry.gated else ''}",
        parameters,
    )
    return f"| {' | '.join(cells)} |"


def _card(name: str, entry: PatchEncoder) -> str:
    lines = [f"* {label}: {words}" for label, words in entry.card().items() if label != "name"]
    return "\n".join([f"### {name}: {entry.title}", "", *lines])


if __name__ == "__main__":
    FILE.write_text(page())
