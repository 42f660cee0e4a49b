import pytest
import torch

from napari_pathlupi.errors import SettingsError
from napari_pathlupi.molecular.encoders.rna_mlp import RNAMLP


@pytest.fixture
def fitted() -> tuple[RNAMLP, torch.Tensor]:
    torch.manual_seed(0)
    training = torch.randn(30, 4) * torch.tensor([1.0, 20.0, 0.1, 1.0]) + 5
    training[:, 3] = 7.0
    encoder = RNAMLP("ABCD", width=8, hidden=16).eval()
    encoder.fit(training)
    return encoder, training


def test_a_gene_nobody_measured_counts_as_the_average_of_the_training_cases(fitted):
    encoder, training = fitted
    case, average = training[:1].clone(), training[:1].clone()
    case[0, 1], average[0, 1] = torch.nan, training[:, 1].mean()
    torch.testing.assert_close(encoder(case), encoder(average))


def test_the_unit_of_a_gene_does_not_matter(fitted):
    encoder, training = fitted
    torch.manual_seed(0)
    other = RNAMLP("ABCD", width=8, hidden=16).eval()
    other.load_state_dict(encoder.state_dict())
    other.fit(training * 3 - 1)
    torch.testing.assert_close(other(training * 3 - 1), encoder(training), rtol=1e-4, atol=1e-5)


def test_a_gene_that_never_varied_counts_nothing(fitted):
    encoder, training = fitted
    changed = training.clone()
    changed[:, 3] = 100.0
    torch.testing.assert_close(encoder(changed), encoder(training))


def test_no_measured_gene_at_all_is_one_sentence():
    with pytest.raises(SettingsError, match="no gene"):
        RNAMLP("AB").fit(torch.full((3, 2), torch.nan))


def test_real_transcriptomes_become_vectors_that_tell_patients_apart(shared_data):
    from napari_pathlupi.molecular.tables import read_expression

    expression = read_expression(shared_data / "rna/tcga_coadread_rna_log2tpm.csv.gz")
    values = torch.tensor(expression.table.to_numpy(), dtype=torch.float32)
    torch.manual_seed(0)
    encoder = RNAMLP(expression.genes, width=16, hidden=64).eval()
    encoder.fit(values[:200])
    vectors = encoder(values)
    assert vectors.isfinite().all()
    assert torch.pdist(vectors).min() > 1e-3
