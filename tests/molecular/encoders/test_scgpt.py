import pytest
import torch

from napari_pathlupi.errors import SettingsError, WeightsError
from napari_pathlupi.molecular.encoders.scgpt import ScGPT
from napari_pathlupi.molecular.scgpt_files import read_scgpt
from published_scgpt import BLOCKS, HEADS, TOKEN, VOCABULARY, a_transformer, published, write_folder

GENES = ("TP53", "MKI67", "CD8A", "ESR1", "KRT5")


def small(genes=GENES, **settings) -> ScGPT:
    torch.manual_seed(0)
    return ScGPT(genes, width=8, token=TOKEN, blocks=BLOCKS, heads=HEADS, **settings).eval()


def expression(cases: int = 3, genes: int = len(GENES)) -> torch.Tensor:
    return torch.rand(cases, genes, generator=torch.Generator().manual_seed(1)) * 10


@pytest.fixture(scope="module")
def theirs() -> torch.nn.TransformerEncoder:
    return a_transformer()


def test_a_token_of_the_published_size_holds_a_transformer_of_the_published_size():
    with torch.device("meta"):
        encoder = ScGPT(GENES)
        layer = torch.nn.TransformerEncoderLayer(512, 8, 512, batch_first=True)
    assert len(encoder.blocks) == 12
    assert sum(w.numel() for w in encoder.blocks.parameters()) == 12 * sum(w.numel() for w in layer.parameters())


def test_a_gene_nobody_measured_is_as_if_it_were_no_column():
    values = expression()
    without = small(GENES[:4])
    encoder = small()
    rows = {"genes.weight": encoder.state_dict()["genes.weight"][:5]}
    without.load_state_dict(encoder.state_dict() | rows)
    values[:, 4] = torch.nan
    torch.testing.assert_close(encoder(values), without(values[:, :4]))


def test_each_step_of_training_draws_other_genes_and_never_more_than_asked():
    encoder = small(genes_per_step=2)
    seen = []
    encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))
    encoder.train()(expression())
    encoder.eval()(expression())
    assert seen == [3, 6]  # with <cls>


def test_heads_that_do_not_part_a_token_are_one_sentence():
    with pytest.raises(SettingsError, match="16 numbers do not part into 5 heads"):
        ScGPT(GENES, token=16, heads=5)


@pytest.mark.parametrize("flash", [False, True])
def test_a_folder_of_the_published_layout_gives_what_the_published_network_gives(tmp_path, theirs, flash):
    tensors = published(theirs, flash)
    files = read_scgpt(write_folder(tmp_path, tensors))
    assert dict(files.settings) == {"token": TOKEN, "blocks": BLOCKS, "heads": HEADS}
    encoder = ScGPT(GENES, width=8, **files.settings).eval()
    encoder.project = torch.nn.Identity()
    files.fill(encoder, GENES)
    values = expression()
    ids = torch.tensor([VOCABULARY[name] for name in ("<cls>", *GENES)])
    norm = torch.nn.functional.layer_norm
    genes = norm(tensors["encoder.embedding.weight"][ids], (TOKEN,), *_pair(tensors, "encoder.enc_norm"))
    amounts = torch.nn.functional.pad(values, (1, 0), value=-2.0)[..., None]
    amounts = (amounts @ tensors["value_encoder.linear1.weight"].T + tensors["value_encoder.linear1.bias"]).relu()
    amounts = amounts @ tensors["value_encoder.linear2.weight"].T + tensors["value_encoder.linear2.bias"]
    tokens = genes + norm(amounts, (TOKEN,), *_pair(tensors, "value_encoder.norm"))
    torch.testing.assert_close(encoder(values), theirs(tokens).mean(dim=1), rtol=1e-4, atol=1e-5)


def _pair(tensors, name):
    return tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def test_only_genes_of_the_vocabulary_are_known(tmp_path, theirs):
    files = read_scgpt(write_folder(tmp_path, published(theirs, False)))
    assert files.known(("TP53", "NOVEL1", "ESR1")) == ("TP53", "ESR1")
    with pytest.raises(WeightsError, match=r"1 of 2 genes are not in .*NOVEL1"):
        files.fill(small(("TP53", "NOVEL1")), ("TP53", "NOVEL1"))


def test_the_first_tensor_that_does_not_fit_is_named(tmp_path, theirs):
    tensors = published(theirs, True)
    tensors["transformer_encoder.layers.1.linear1.weight"] = torch.zeros(3, TOKEN)
    files = read_scgpt(write_folder(tmp_path, tensors))
    with pytest.raises(WeightsError, match=r"blocks\.1\.linear1\.weight is \(3, 16\), not \(16, 16\)"):
        files.fill(small(), GENES)
    del tensors["transformer_encoder.layers.1.linear1.weight"]
    torch.save(tensors, tmp_path / "best_model.pt")
    with pytest.raises(WeightsError, match=r"blocks\.1\.linear1\.weight is missing"):
        files.fill(small(), GENES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"nheads": None}, "does not say nheads"),
        ({"input_emb_style": "category"}, "input_emb_style = 'category'"),
        ({"pre_norm": True}, "pre_norm = True"),
    ],
)
def test_settings_of_another_network_are_one_sentence(tmp_path, arguments, words):
    with pytest.raises(WeightsError, match=words):
        read_scgpt(write_folder(tmp_path, {}, **arguments))


def test_a_damaged_folder_is_one_sentence(tmp_path, theirs):
    with pytest.raises(WeightsError, match="cannot read"):
        read_scgpt(tmp_path)
    files = read_scgpt(write_folder(tmp_path, published(theirs, False)))
    (tmp_path / "best_model.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        files.fill(small(), GENES)
    (tmp_path / "vocab.json").write_text("[]")
    with pytest.raises(WeightsError, match="no names with values"):
        read_scgpt(tmp_path)


def test_a_file_that_would_run_code_is_not_opened(tmp_path, theirs):
    files = read_scgpt(write_folder(tmp_path, {"x": print}))
    with pytest.raises(WeightsError, match="could run code"):
        files.fill(small(), GENES)
