import tarfile

import numpy as np
import pytest
from PIL import Image

from training import image_folder
from training.errors import InputError

RED, BLUE = (250, 10, 10), (10, 10, 250)


@pytest.fixture
def two_parts(tmp_path, write_picture):
    for part, count in ("train", 3), ("test", 2):
        for number in range(count):
            write_picture(tmp_path / "set" / part / "red" / f"{number}.png", RED)
            write_picture(tmp_path / "set" / part / "blue" / f"{number}.png", BLUE)
    return tmp_path / "set"


def test_train_and_test_folders_are_the_parts(two_parts):
    ((images, labels), (test_images, test_labels)), class_names = image_folder.load(two_parts)
    assert class_names == ("blue", "red")
    assert images.shape == (6, 20, 20, 3) and labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test_images.shape == (4, 20, 20, 3) and test_labels.tolist() == [0, 0, 1, 1]
    assert images[0, 0, 0].tolist() == [*BLUE] and test_images[3, 0, 0].tolist() == [*RED]


def one_level(folder, write_picture, count=10):
    for number in range(count):
        write_picture(folder / "dark" / f"{number}.png", number)
        write_picture(folder / "light" / f"{number}.png", 200 + number)
    return folder


def test_one_level_holds_out_a_fifth_of_each_class(tmp_path, write_picture):
    (train, test), _ = image_folder.load(one_level(tmp_path, write_picture))
    assert train[0].shape == (16, 20, 20, 1)
    assert np.bincount(test[1]).tolist() == [2, 2]
    assert not set(train[0][:, 0, 0, 0]) & set(test[0][:, 0, 0, 0])


def test_split_depends_on_the_seed_alone(tmp_path, write_picture):
    folder = one_level(tmp_path, write_picture)
    held_out = [set(image_folder.load(folder, seed=seed)[0][1][0][:, 0, 0, 0]) for seed in (1, 1, 2)]
    assert held_out[0] == held_out[1] != held_out[2]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_archive_reads_as_its_folder_does(tmp_path, two_parts, mode):
    with tarfile.open(tmp_path / "set.tar", mode) as archive:
        archive.add(two_parts, "outer/set")
    (folder_train, _), _ = image_folder.load(two_parts)
    (train, _), class_names = image_folder.load(tmp_path / "set.tar")
    assert class_names == ("blue", "red")
    np.testing.assert_array_equal(train[0], folder_train[0])


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp"])
def test_every_format_is_read(two_parts, write_picture, suffix):
    write_picture(two_parts / "test" / "red" / f"more.{suffix}", RED)
    (_, (images, labels)), _ = image_folder.load(two_parts)
    assert len(images) == 5
    np.testing.assert_allclose(images[labels == 1].astype(int), np.broadcast_to(RED, (3, 20, 20, 3)), atol=6)


def test_pictures_of_one_small_size_keep_it(two_parts):
    (train, _), _ = image_folder.load(two_parts)
    assert train[0].shape[1:] == (20, 20, 3)


def test_mixed_sizes_are_resized_to_64(two_parts, write_picture):
    write_picture(two_parts / "train" / "red" / "wide.jpg", RED, size=(300, 100))
    (train, _), _ = image_folder.load(two_parts)
    assert train[0].shape == (7, 64, 64, 3)


def test_image_size_is_honoured(two_parts):
    (train, _), _ = image_folder.load(two_parts, image_size=17)
    assert train[0].shape[1:] == (17, 17, 3)


def test_phone_picture_is_turned_upright(two_parts):
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn clockwise
    Image.fromarray(pixels).save(two_parts / "train" / "red" / "9.png", exif=exif)
    (train, _), _ = image_folder.load(two_parts)
    assert train[0][-1, 0].min() == 255 and train[0][-1, -1].max() == 0


def test_sixteen_bit_grey_keeps_its_tones(tmp_path):
    for name, value in ("dark", 10 << 8), ("light", 200 << 8):
        for number in range(2):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(np.full((20, 20), value, np.uint16)).save(tmp_path / name / f"{number}.png")
    (train, _), _ = image_folder.load(tmp_path)
    assert sorted(train[0][:, 0, 0, 0]) == [10, 200]


def test_file_that_is_no_picture_is_named_and_counted(two_parts, capsys):
    (two_parts / "train" / "red" / "notes.txt").write_text("not a picture")
    whole = (two_parts / "train" / "red" / "0.png").read_bytes()
    (two_parts / "train" / "red" / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (two_parts / "README").write_text("outside any class")
    (train, _), _ = image_folder.load(two_parts)
    told = capsys.readouterr().err
    assert len(train[0]) == 6
    assert all(name in told for name in ("train/red/notes.txt", "train/red/truncated.png", "README"))
    assert "Skipped 3 files in all." in told


def remove_class_files(folder):
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda root: (root / "train" / "green").mkdir(), "empty class folders: train/green"),
        (lambda root: remove_class_files(root / "test" / "red"), "empty class folders: test/red"),
        (lambda root: (root / "train" / "red").rename(root / "train" / "crimson"), "does not have: red"),
        (lambda root: [path.write_text("no") for path in (root / "train" / "red").iterdir()], "to train on for: red"),
        (lambda root: [path.write_text("no") for path in root.glob("test/*/*")], "no picture to test on"),
    ],
)
def test_folder_that_cannot_be_learned_from_is_refused(two_parts, damage, sentence):
    damage(two_parts)
    with pytest.raises(InputError, match=sentence):
        image_folder.load(two_parts)


def test_folder_without_classes_says_the_layout(tmp_path, write_picture):
    write_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="<class>"):
        image_folder.load(tmp_path)


def test_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "set.tar").write_bytes(b"x" * 2000)
    with pytest.raises(InputError, match="no whole tar archive"):
        image_folder.load(tmp_path / "set.tar")
