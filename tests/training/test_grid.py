from training.grid import Cell, cells, plans

COSTS = {"base_c": 200, "strided_cnn_c": 90, "all_cnn_c": 250, "huge": 20_000}


def test_equal_epochs_are_equal():
    assert plans(COSTS, 12)["equal epochs"] == dict.fromkeys(COSTS, 12)


def test_equal_multiply_adds_are_those_of_the_first_network_in_whole_epochs_and_at_least_one():
    got = plans(COSTS, 12)["equal multiply-adds"]
    assert got == {"base_c": 12, "strided_cnn_c": 27, "all_cnn_c": 10, "huge": 1}  # 26.7, 9.6 and 0.12


def test_every_network_has_every_seed_and_the_first_seed_comes_first():
    got = cells({"base_c": 12, "all_cnn_c": 10}, 2, dataset="mnist", width=1 / 3, recipe="fast")
    assert got == [
        Cell("mnist", "0.333333", "fast", "base_c", 12, 0),
        Cell("mnist", "0.333333", "fast", "all_cnn_c", 10, 0),
        Cell("mnist", "0.333333", "fast", "base_c", 12, 1),
        Cell("mnist", "0.333333", "fast", "all_cnn_c", 10, 1),
    ]
