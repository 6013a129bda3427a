import os
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from training import image_folder, pictures
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
    assert images.shape == (6, 20, 20, 3) and np.bincount(labels).tolist() == [3, 3]
    assert test_images.shape == (4, 20, 20, 3) and np.bincount(test_labels).tolist() == [2, 2]
    colours = np.array([BLUE, RED])
    np.testing.assert_array_equal(images[:, 0, 0], colours[labels])
    np.testing.assert_array_equal(test_images[:, 0, 0], colours[test_labels])


def test_what_is_only_tested_on_needs_no_picture_to_train_on(two_parts, capsys):
    (two_parts / "train" / "red" / "broken.png").write_bytes(b"no picture")
    (_, expected), _ = image_folder.load(two_parts)
    assert "broken.png" in capsys.readouterr().err
    ((images, labels), test), class_names = image_folder.load(two_parts, test_only=True)
    assert capsys.readouterr().err == ""
    assert (images.shape, labels.shape, class_names) == ((0, 20, 20, 3), (0,), ("blue", "red"))
    np.testing.assert_array_equal(np.sort(test[0], axis=0), np.sort(expected[0], axis=0))


def test_first_pictures_are_of_every_class_as_in_the_datasets_with_a_name(tmp_path, write_picture):
    (train, test), _ = image_folder.load(one_level(tmp_path, write_picture, count=50))
    assert 5 < train[1][:20].sum() < 15 and 0 < test[1][:10].sum() < 10


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
    Image.fromarray(pixels).save(two_parts / "train" / "red" / "9.jpg", exif=exif)
    (train, _), _ = image_folder.load(two_parts)
    [upright] = [image for image in train[0] if image[0].min() > 240]
    assert upright[-1].max() < 15


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
    assert "Skipped in all: 3." in told


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


def packed(folder):
    """The same in a tar archive beside it."""
    with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
        archive.add(folder, folder.name)
    return folder.with_suffix(".tar")


@pytest.fixture(params=["folder", "archive"])
def as_given(request):
    """Gives a folder as it is, or packed."""
    return packed if request.param == "archive" else lambda folder: folder


@pytest.mark.parametrize("training, test", [("Train", "Test"), ("train", "val"), ("TRAINING", "Validation")])
def test_parts_have_other_names_too(two_parts, as_given, training, test):
    (two_parts / "train").rename(two_parts / training)
    (two_parts / "test").rename(two_parts / test)
    ((images, _), (test_images, _)), class_names = image_folder.load(as_given(two_parts))
    assert (len(images), len(test_images), class_names) == (6, 4, ("blue", "red"))


def test_test_part_goes_before_a_validation_part_which_is_left_out_and_told(two_parts, write_picture, capsys, as_given):
    write_picture(two_parts / "val" / "red" / "0.png", (3, 3, 3))
    write_picture(two_parts / "raw" / "green" / "0.png", (4, 4, 4))
    ((images, _), (test_images, _)), _ = image_folder.load(as_given(two_parts))
    assert (len(images), len(test_images)) == (6, 4)
    assert capsys.readouterr().err == "Training on train/ and testing on test/; left out: raw/, val/.\n"


@pytest.mark.parametrize(
    "training, test, sentence",
    [("train", "more", "no test/ or val/ to test on"), ("learn", "Val", "no train/ to train on")],
)
def test_one_part_without_the_other_is_no_class(two_parts, as_given, training, test, sentence):
    (two_parts / "train").rename(two_parts / training)
    (two_parts / "test").rename(two_parts / test)
    with pytest.raises(InputError, match=sentence):
        image_folder.load(as_given(two_parts))


def test_class_may_be_called_train(tmp_path, write_picture):
    for name in ("bus", "train"):
        for number in range(5):
            write_picture(tmp_path / name / f"{number}.png")
    _, class_names = image_folder.load(tmp_path)
    assert class_names == ("bus", "train")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".git", "__MACOSX", "@eaDir"])
def test_hidden_folders_and_files_are_left_out(tmp_path, write_picture, as_given, capsys, name):
    folder = one_level(tmp_path / "set", write_picture)
    for place in (folder, folder / "dark"):
        write_picture(place / name / "0.png", 99)
    (folder / "dark" / "._0.png").write_text("no picture")
    (train, test), class_names = image_folder.load(as_given(folder))
    assert class_names == ("dark", "light") and len(train[0]) + len(test[0]) == 20
    assert capsys.readouterr().err == ""


@pytest.fixture
def linked(tmp_path, write_picture):
    """Two classes of five pictures, of each three as files, one as a hard link and one as a symbolic link."""
    for name, colour in ("blue", BLUE), ("red", RED):
        for number in range(3):
            write_picture(tmp_path / "set" / name / f"{number}.png", colour)
        os.link(tmp_path / "set" / name / "0.png", tmp_path / "set" / name / "hard.png")
        (tmp_path / "set" / name / "soft.png").symlink_to("1.png")
    return tmp_path / "set"


def test_links_are_pictures(linked, as_given):
    (train, test), _ = image_folder.load(as_given(linked))
    assert np.bincount([*train[1], *test[1]]).tolist() == [5, 5]


def test_link_to_a_link_is_a_picture_and_one_to_itself_is_told(linked, as_given, capsys):
    (linked / "red" / "b.png").symlink_to("soft.png")
    (linked / "red" / "a.png").symlink_to("b.png")
    (linked / "scarlet").symlink_to("crimson")
    (linked / "crimson").symlink_to("red")
    (linked / "blue" / "round.png").symlink_to("round.png")
    (train, test), class_names = image_folder.load(as_given(linked))
    assert class_names == ("blue", "crimson", "red", "scarlet")
    assert np.bincount([*train[1], *test[1]]).tolist() == [5, 7, 7, 7]
    assert "Skipped blue/round.png" in capsys.readouterr().err


def test_link_to_nothing_is_told(linked, as_given, capsys):
    (linked / "red" / "away.png").symlink_to("nowhere.png")
    (train, test), _ = image_folder.load(as_given(linked))
    assert len(train[0]) + len(test[0]) == 10
    assert "Skipped red/away.png" in capsys.readouterr().err


def test_linked_folder_is_a_class_and_no_folder_is_entered_in_itself(linked, as_given):
    (linked / "crimson").symlink_to("red")
    (linked / "red" / "around").symlink_to("..")
    (train, test), class_names = image_folder.load(as_given(linked))
    assert class_names == ("blue", "crimson", "red")
    assert np.bincount([*train[1], *test[1]]).tolist() == [5, 5, 5]


def test_link_out_of_the_folder_is_followed(linked, tmp_path, write_picture):
    write_picture(tmp_path / "elsewhere" / "0.png", (0, 250, 0))
    write_picture(tmp_path / "elsewhere" / "1.png", (0, 250, 0))
    (linked / "green").symlink_to(tmp_path / "elsewhere")
    assert image_folder.load(linked)[1] == ("blue", "green", "red")


def test_archive_with_absolute_names_reads_as_its_folder_does(two_parts):
    def absolute(member):
        member.name = f"/{member.name}"
        return member

    with tarfile.open(two_parts.with_suffix(".tar"), "w") as archive:
        archive.add(two_parts, filter=absolute)
    assert image_folder.load(two_parts.with_suffix(".tar"))[1] == ("blue", "red")


def test_name_that_no_exported_model_can_have_is_refused(two_parts, as_given):
    for part in "train", "test":
        (two_parts / part / "red").rename(two_parts / part / os.fsdecode(b"caf\xe9"))
    with pytest.raises(InputError, match=r"the name b'caf\\xe9' is not one line of UTF-8"):
        image_folder.load(as_given(two_parts))


def png_of(width, height):
    """The start of a greyscale PNG of so many pixels, without any of them."""
    header = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + zlib.crc32(header).to_bytes(4, "big") + b"\0\0\0\0IDAT\0\0\0\0"


def test_largest_photographs_are_opened_without_a_warning(recwarn):
    assert pictures.header(png_of(16_000, 12_500)) == ((16_000, 12_500), True)
    assert not recwarn


def test_picture_that_is_too_large_is_told_as_that(two_parts, capsys):
    (two_parts / "train" / "red" / "map.png").write_bytes(png_of(40_000, 30_000))
    image_folder.load(two_parts)
    told = "Skipped train/red/map.png: a picture of more than 1,000,000,000 pixels; make it smaller."
    assert told in capsys.readouterr().err


def test_zip_archive_is_to_be_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("red/0.png", "")
    with pytest.raises(InputError, match="is a zip archive; unpack it and give the folder"):
        image_folder.load(tmp_path / "set.zip")


def test_file_that_is_no_archive_is_refused_in_one_line(tmp_path):
    (tmp_path / "set.tar").write_bytes(b"x" * 2000)
    with pytest.raises(InputError, match="no whole tar archive") as refused:
        image_folder.load(tmp_path / "set.tar")
    assert "\n" not in str(refused.value)
