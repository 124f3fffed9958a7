import numpy as np
import pytest

from gptmill.report import documents
from gptmill.report.documents import Document

END = 9


def ids(*lengths: int) -> np.ndarray:
    return np.concatenate([[*([1] * length), END] for length in lengths]).astype("<u2")


@pytest.mark.parametrize("slice_size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("cut", [1, 2, 5, 6, 12, 19])
def test_documents_are_the_same_wherever_slices_and_splits_cut(slice_size, cut):
    whole = ids(4, 0, 7, 1, 3)
    result = documents.measure({"train": whole[:cut], "validation": whole[cut:]}, END, 3, slice_size)
    assert (result.lengths.texts, result.lengths.tokens, result.lengths.longest) == (5, 15, 7)
    assert result.ends == {"train": sum(whole[:cut] == END), "validation": sum(whole[cut:] == END)}
    assert result.chosen == [Document(1, 0, 4), Document(3, 6, 13), Document(5, 16, 19)]


def test_a_document_that_two_splits_share_is_cut_out_whole():
    whole = np.arange(20)
    splits = {"train": whole[:8], "validation": whole[8:]}
    assert documents.cut_out(splits, 5, 12) == [5, 6, 7, 8, 9, 10, 11]
    assert documents.cut_out(splits, 9, 11) == [9, 10]
    assert documents.cut_out(splits, 2, 4) == [2, 3]


def test_one_document_is_chosen_once():
    result = documents.measure({"train": ids(50)[:30], "validation": ids(50)[30:]}, END, 4)
    assert result.chosen == [Document(1, 0, 50)]
    assert result.ends == {"train": 0, "validation": 1}


def test_a_last_document_without_an_end_counts():
    result = documents.measure({"train": ids(3), "validation": ids(5)[:-1]}, END, 1)
    assert (result.lengths.texts, result.lengths.tokens) == (2, 8)
    assert result.ends == {"train": 1, "validation": 1}
