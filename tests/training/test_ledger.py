import pytest

from training.errors import InputError
from training.ledger import Ledger

COLUMNS, IDENTITY = ("model", "seed", "accuracy"), ("model", "seed")


def ledger(folder):
    return Ledger(folder / "results" / "compare.csv", COLUMNS, IDENTITY)


def test_rows_are_found_by_their_identity_when_the_file_is_opened_again(tmp_path):
    ledger(tmp_path).add({"model": "CONV(3x3, 8) -> FC", "seed": 0, "accuracy": 0.9})
    again = ledger(tmp_path)
    assert again.find({"model": "CONV(3x3, 8) -> FC", "seed": 0}) == {
        "model": "CONV(3x3, 8) -> FC",
        "seed": "0",
        "accuracy": "0.9",
    }
    assert again.find({"model": "CONV(3x3, 8) -> FC", "seed": 1}) is None


def test_file_has_one_header_and_a_line_for_each_row(tmp_path):
    for seed in range(2):
        ledger(tmp_path).add({"model": "a", "seed": seed, "accuracy": 0.5})
    assert ledger(tmp_path).path.read_text() == "model,seed,accuracy\na,0,0.5\na,1,0.5\n"


@pytest.mark.parametrize("cut", ["a,1,0.", "a", '"a'])
def test_last_row_cut_short_is_taken_off(tmp_path, cut):
    first = ledger(tmp_path)
    first.add({"model": "a", "seed": 0, "accuracy": 0.5})
    with open(first.path, "a") as file:
        file.write(cut)
    again = ledger(tmp_path)
    again.add({"model": "a", "seed": 1, "accuracy": 0.75})
    assert again.path.read_text() == "model,seed,accuracy\na,0,0.5\na,1,0.75\n"


def test_lines_may_end_as_a_spreadsheet_ends_them(tmp_path):
    path = ledger(tmp_path).path
    path.write_bytes(b"model,seed,accuracy\r\na,0,0.5\r\na,1,0.")
    again = ledger(tmp_path)
    assert again.find({"model": "a", "seed": 0})["accuracy"] == "0.5"
    assert path.read_bytes() == b"model,seed,accuracy\r\na,0,0.5\r\n"


def test_header_cut_short_is_written_again(tmp_path):
    path = ledger(tmp_path).path
    path.write_text("model,se")
    ledger(tmp_path).add({"model": "a", "seed": 0, "accuracy": 0.5})
    assert path.read_text() == "model,seed,accuracy\na,0,0.5\n"


def test_other_columns_are_told(tmp_path):
    path = ledger(tmp_path).path
    path.write_text("model,accuracy\n")
    with pytest.raises(InputError, match="has the columns model, accuracy; expected model, seed, accuracy"):
        ledger(tmp_path)
