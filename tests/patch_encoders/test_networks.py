"""The networks are those that were published: their size, their pooling, and the tensors they are given."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders._conch import Biased, Unbiased, image_part
from napari_pathlupi.patch_encoders._loading import built
from napari_pathlupi.patch_encoders._pretrained import PretrainedEncoder
from napari_pathlupi.patch_encoders._timm import VisionTransformer
from napari_pathlupi.patch_encoders._transformers import from_dinov2, from_transformers, pooled, with_positions_of

COUNTED = [
    name
    for name, entry in patch_encoders.items()
    if isinstance(entry, PretrainedEncoder) and entry.weights.parameters and not entry.weights.of_whole_file
    if "-cls" not in name and "-mean" not in name
]


@pytest.mark.parametrize("name", COUNTED)
def test_has_as_many_parameters_as_published_to_one_unit_of_the_last_digit(name):
    weights = patch_encoders[name].weights
    digits = weights.parameters.partition(" ")[0].partition(".")[2]
    unit = 10.0 ** -len(digits) * (1000 if weights.parameters.endswith("B") else 1)
    assert abs(counted(name) - weights.millions) <= unit


def counted(name: str) -> float:
    """Millions of parameters; networks that differ in what is around them only are built once."""
    architecture = patch_encoders[name].architecture
    if isinstance(architecture, VisionTransformer):
        architecture = replace(architecture, layout="timm", pooling="cls", positions="")
    if (key := repr(architecture)) not in COUNTS:
        COUNTS[key] = sum(parameter.numel() for parameter in built(architecture).parameters()) / 1e6
    return COUNTS[key]


COUNTS: dict[str, float] = {}


def tokens(prefixes: int, patches: int, width: int = 3) -> torch.Tensor:
    return torch.randn(2, prefixes + patches, width, generator=torch.Generator().manual_seed(0))


def test_the_class_token_is_the_first():
    some = tokens(5, 9)
    assert torch.equal(pooled(some, 5, "cls"), some[:, 0])


@pytest.mark.parametrize("registers", [0, 4, 8])
def test_the_mean_is_over_the_patches_and_never_over_registers(registers):
    some = tokens(1 + registers, 9)
    by_hand = [
        [*tile[0].tolist(), *(sum(column) / 9 for column in zip(*tile[1 + registers :].tolist(), strict=True))]
        for tile in some
    ]
    torch.testing.assert_close(pooled(some, 1 + registers, "cls+mean"), torch.tensor(by_hand))
    other = some.clone()
    other[:, 1 : 1 + registers] += 100
    assert torch.equal(pooled(other, 1 + registers, "cls+mean"), pooled(some, 1 + registers, "cls+mean"))


@pytest.mark.parametrize(
    ("name", "prefixes"),
    [("virchow", 1), ("virchow2", 5), ("uni2-h", 9), ("h0-mini-mean", 5), ("midnight-12k", 1), ("hibou-l", 5)],
)
def test_the_network_puts_as_many_tokens_before_the_patches_as_published(name, prefixes):
    network = built(patch_encoders[name].architecture)
    assert network.trunk.num_prefix_tokens == prefixes


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return network.eval().requires_grad_(False)


SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 56, "patch_size": 14}


def of_transformers(kind: str, folder, **more) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    """Return a small random network of transformers, and its tensors under the names it is published with."""
    import transformers
    from safetensors.torch import load_file

    transformers.utils.logging.disable_progress_bar()
    config = getattr(transformers, f"{kind}Config")(**SMALL, **more)
    network = randomised(getattr(transformers, f"{kind}Model")(config))
    network.save_pretrained(folder)
    return network, load_file(folder / "model.safetensors")


CASES = [
    ("ViT", {"intermediate_size": 192, "layer_norm_eps": 1e-12}, {"norm_eps": 1e-12}),
    ("Dinov2", {}, {"arguments": {"init_values": 1.0}}),
    ("Dinov2", {"use_swiglu_ffn": True}, {"arguments": {"init_values": 1.0, "mlp_ratio": 256 / 48}, "swiglu": True}),
    (
        "Dinov2WithRegisters",
        {"use_swiglu_ffn": True},
        {
            "arguments": {"init_values": 1.0, "mlp_ratio": 256 / 48, "reg_tokens": 4, "no_embed_class": True},
            "swiglu": True,
        },
    ),
]


def ours(more: dict, img_size: int = 56, positions: str = "") -> VisionTransformer:
    arguments = {"img_size": img_size, "patch_size": 14, "embed_dim": 48, "depth": 2, "num_heads": 3}
    own = {**more, "arguments": {**arguments, **more.get("arguments", {})}}
    return VisionTransformer("vit_tiny_patch16_224", layout="transformers", positions=positions, **own)


def filled(architecture: VisionTransformer, published: dict[str, torch.Tensor]) -> nn.Module:
    network = architecture.build().eval()
    network.load_state_dict(architecture.tensors(published, network))
    return network


@pytest.mark.parametrize(("kind", "theirs", "more"), CASES)
def test_a_network_of_transformers_gives_the_same_in_timm(kind, theirs, more, tmp_path):
    network, published = of_transformers(kind, tmp_path, **theirs)
    planes = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(pixel_values=planes).last_hidden_state[:, 0]
        torch.testing.assert_close(filled(ours(more), published)(planes), expected, rtol=1e-3, atol=1e-4)


def test_positions_of_a_larger_grid_are_resized_as_transformers_does_it(tmp_path):
    network, published = of_transformers("Dinov2", tmp_path)
    planes = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    smaller = ours({"arguments": {"init_values": 1.0}}, img_size=28, positions="bicubic")
    with torch.inference_mode():
        expected = network(pixel_values=planes).last_hidden_state[:, 0]
        torch.testing.assert_close(filled(smaller, published)(planes), expected, rtol=1e-3, atol=1e-4)


def test_positions_of_a_larger_grid_are_resized_as_timm_does_it():
    timm = pytest.importorskip("timm")
    arguments = {"img_size": 56, "patch_size": 14, "embed_dim": 48, "depth": 1, "num_heads": 3, "num_classes": 0}
    whole = randomised(timm.create_model("vit_tiny_patch16_224", dynamic_img_size=True, **arguments))
    smaller = VisionTransformer("vit_tiny_patch16_224", arguments | {"img_size": 28}, positions="bicubic-antialias")
    planes = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(filled(smaller, whole.state_dict())(planes), whole(planes), rtol=1e-4, atol=1e-5)


def test_positions_of_the_right_grid_are_left_alone():
    network = ours({}).build()
    own = network.state_dict()
    assert with_positions_of(network, own, "trunk.pos_embed", "bicubic")["trunk.pos_embed"] is own["trunk.pos_embed"]


META_NAMES = {
    "reg_token": "register_tokens",
    ".mlp.fc1.": ".mlp.w12.",
    ".mlp.fc2.": ".mlp.w3.",
}


def test_names_of_meta_and_of_transformers_lead_to_the_same_tensors(tmp_path):
    _, published = of_transformers("Dinov2WithRegisters", tmp_path, use_swiglu_ffn=True)
    expected = from_transformers(published)
    meta = dict(expected)
    for new, old in META_NAMES.items():
        meta = {name.replace(new, old): value for name, value in meta.items()}
    first = published["embeddings.position_embeddings"][:, :1]
    meta |= {
        "cls_token": meta["cls_token"] - first,
        "pos_embed": torch.cat([first, meta["pos_embed"]], dim=1),
        "mask_token": torch.zeros(1, 48),
    }
    given = from_dinov2(meta)
    assert given.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(given[name], value)


def normed(values: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    centred = values - values.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def attended(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Eight heads, one query, written out: (dim,), (tokens, dim), (tokens, dim) -> (dim,)."""
    size, parts = len(query) // 8, []
    for start in range(0, len(query), size):
        head = slice(start, start + size)
        scores = [math.exp(float(query[head] @ key[head]) / math.sqrt(size)) for key in keys]
        parts.append(sum(score * value[head] for score, value in zip(scores, values, strict=True)) / sum(scores))
    return torch.cat(parts)


def test_conch_pools_by_one_biased_query_as_written_out():
    pool = randomised(Biased(16, 24))
    some = torch.randn(7, 24, generator=torch.Generator().manual_seed(1))
    attention = pool.attn
    biases = attention.in_proj_bias.chunk(3)
    query = attention.q_proj_weight @ normed(pool.query[0], pool.ln_q) + biases[0]
    keys = normed(some, pool.ln_k) @ attention.k_proj_weight.T + biases[1]
    values = normed(some, pool.ln_k) @ attention.v_proj_weight.T + biases[2]
    expected = attention.out_proj.weight @ attended(query, keys, values) + attention.out_proj.bias
    torch.testing.assert_close(pool(some[None])[0], expected, rtol=1e-4, atol=1e-5)


def test_conch_1_5_pools_by_one_query_without_biases_as_written_out():
    pool = randomised(Unbiased(16, 24))
    some = torch.randn(7, 24, generator=torch.Generator().manual_seed(1))
    query = pool.to_q.weight @ normed(pool.query[0], pool.ln_q)
    both = normed(some, pool.ln_k) @ pool.to_kv.weight.T
    expected = pool.to_out.weight @ attended(query, both[:, :16], both[:, 16:])
    torch.testing.assert_close(pool(some[None])[0], expected, rtol=1e-4, atol=1e-5)


def test_conch_leaves_out_captions_and_the_projection_to_text():
    network = built(patch_encoders["conch-v1"].architecture)
    names = ["visual.ln_contrast.weight", "visual.proj_contrast", "visual.attn_pool_caption.query", "text.cls_emb"]
    kept = image_part(dict.fromkeys(names, torch.zeros(2)), network, "visual.", as_published_at_224=False)
    assert list(kept) == ["ln_contrast.weight"]


def test_conch_1_5_resizes_positions_by_its_own_scale():
    network = built(patch_encoders["conch-v1-5"].architecture)
    positions = torch.randn(1, 197, 1024, generator=torch.Generator().manual_seed(0))
    given = image_part({"trunk.pos_embed": positions}, network, "", as_published_at_224=True)["trunk.pos_embed"]
    assert given.shape == (1, 785, 1024)
    assert torch.equal(given[:, 0], positions[:, 0])
    planes = positions[0, 1:].T.reshape(1, 1024, 14, 14)
    by_scale = interpolate(planes, scale_factor=(28.1 / 14, 28.1 / 14), mode="bicubic")
    torch.testing.assert_close(given[0, 1:].T.reshape(1, 1024, 28, 28), by_scale)
    assert not torch.allclose(by_scale, interpolate(planes, (28, 28), mode="bicubic"), atol=1e-3)


def test_ctranspath_halves_with_convolutions_and_norms_its_tokens():
    from napari_pathlupi.patch_encoders._swin import Stem

    stem = randomised(Stem(32, 4, 3, 16))
    planes = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    given = stem(planes)
    assert given.shape == (1, 8, 8, 16)
    torch.testing.assert_close(given, normed(stem.proj(planes).permute(0, 2, 3, 1), stem.norm))


def test_keep_gives_vectors_of_length_one():
    from napari_pathlupi.patch_encoders._keep import OfLengthOne

    visual = nn.Sequential(nn.Flatten(), nn.Linear(12, 16))
    visual.embed_dim = 16
    vectors = randomised(OfLengthOne(visual, 8))(torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
