import numpy as np
import pytest
from PIL import Image

from training import photographs
from training.errors import InputError

RED, BLUE = (250, 10, 10), (10, 10, 250)
SHAPE = (16, 16, 3)


@pytest.fixture
def folder(tmp_path, write_picture):
    """Three pictures a class to train on and two to test on, no two alike."""
    for part, count in ("train", 3), ("test", 2):
        for number in range(count):
            write_picture(tmp_path / "set" / part / "red" / f"{number}.png", (*RED[:2], number + 5 * count))
            write_picture(tmp_path / "set" / part / "blue" / f"{number}.png", (number + 5 * count, *BLUE[1:]))
    return tmp_path / "set"


@pytest.fixture
def read(folder, tmp_path):
    """Reads `folder` again, as it is now."""

    def read_again(shape=SHAPE):
        return photographs.read(photographs.find(folder, seed=0), shape, tmp_path / "cache")

    return read_again


def pixel(photos, path):
    """The middle pixel of the picture at `path`."""
    at = photos.paths.index(path)
    return photos.images([at])[0, SHAPE[0] // 2, SHAPE[1] // 2].tolist()


def test_pictures_have_the_shape_asked_for_their_labels_and_their_parts(read):
    photos = read()
    assert (photos.name, photos.class_names) == ("set", ("blue", "red"))
    assert photos.images(range(10)).shape == (10, *SHAPE) and photos.images([3]).dtype == np.uint8
    assert {path: photos.labels[at] for at, path in enumerate(photos.paths)}["train/red/0.png"] == 1
    assert [path for path, is_test in zip(photos.paths, photos.is_test, strict=True) if is_test] == [
        *(f"test/blue/{number}.png" for number in range(2)),
        *(f"test/red/{number}.png" for number in range(2)),
    ]


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)


@pytest.mark.parametrize(
    "mode, name, colour, expected",
    [
        ("RGB", "a.jpg", RED, RED),
        ("CMYK", "a.jpg", (0, 255, 255, 0), (255, 0, 0)),
        ("CMYK", "a.tif", (255, 255, 0, 0), (0, 0, 255)),
        ("L", "a.jpg", 130, (130, 130, 130)),
        ("RGBA", "a.png", (*RED, 0), RED),  # as the served model reads it, which has no background to lay it on
        ("LA", "a.png", (130, 90), (130, 130, 130)),
        ("1", "a.png", 1, (255, 255, 255)),
        ("P", "a.gif", 0, (0, 0, 0)),
        ("RGB", "a.webp", RED, RED),
    ],
)
def test_every_mode_becomes_rgb(folder, read, mode, name, colour, expected):
    save(Image.new(mode, (40, 30), colour), folder / "train" / "red" / name)
    np.testing.assert_allclose(pixel(read(), f"train/red/{name}"), expected, atol=6)


def test_colour_becomes_grey_for_a_network_of_one_channel(folder, read):
    photos = read((16, 16, 1))
    assert photos.images([0]).shape == (1, 16, 16, 1)


def test_phone_picture_is_turned_upright(folder, read):
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held a quarter turn clockwise
    save(Image.fromarray(pixels), folder / "train" / "red" / "phone.jpg", exif=exif)
    photos = read()
    image = photos.images([photos.paths.index("train/red/phone.jpg")])[0]
    assert image[0].min() > 240 and image[-1].max() < 15


def test_files_that_are_no_whole_pictures_are_named_and_counted(folder, read, capsys):
    Image.effect_noise((60, 60), 80).save(folder / "train" / "red" / "cut.jpg")
    whole = (folder / "train" / "red" / "cut.jpg").read_bytes()
    (folder / "train" / "red" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "test" / "blue" / "notes.txt").write_text("not a picture")
    (folder / "train" / "blue" / "away.jpg").symlink_to(folder / "nowhere")
    (folder / "README").write_text("outside any class")
    photos = read()
    told = capsys.readouterr().err
    assert len(photos.paths) == 10
    skipped = ("train/red/cut.jpg", "test/blue/notes.txt", "train/blue/away.jpg", "README")
    assert all(f"Skipped {path}" in told for path in skipped)
    assert "Skipped in all: 4." in told


def test_picture_that_is_tested_on_and_learned_from_is_told(folder, read, capsys):
    content = (folder / "train" / "red" / "0.png").read_bytes()
    (folder / "test" / "blue" / "copy.png").write_bytes(content)
    photos = read()
    assert photographs.duplicates(photos) == [("test/blue/copy.png", "train/red/0.png")]
    told = capsys.readouterr().err
    assert "test/blue/copy.png is also learned from, as train/red/0.png." in told
    assert "1 test pictures have the content of a training picture" in told


def test_same_files_are_decoded_once(folder, read, tmp_path, capsys):
    before = read().images(range(10))
    [decoded] = (tmp_path / "cache").glob("*.npy")
    capsys.readouterr()
    np.testing.assert_array_equal(read().images(range(10)), before)
    assert [decoded] == list((tmp_path / "cache").glob("*.npy"))
    assert "Reading" not in capsys.readouterr().out


def test_what_was_decoded_before_a_change_is_not_kept(folder, read, write_picture, tmp_path):
    read(shape=(9, 9, 3))
    for tone in 200, 210, 220:
        write_picture(folder / "train" / "red" / "0.png", (0, tone, 0), size=(30, 30))
        read()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_changed_file_is_decoded_again(folder, read, write_picture):
    read()
    write_picture(folder / "train" / "red" / "0.png", (0, 200, 0), size=(30, 30))
    assert pixel(read(), "train/red/0.png") == [0, 200, 0]


def test_pictures_that_the_disk_cannot_hold_are_refused_before_they_are_read(tmp_path):
    with pytest.raises(InputError, match=r"need 1,000,000,000.0 MB in .* --image_size"):
        photographs.require_room(tmp_path, 10**15)


@pytest.mark.parametrize("name, sentence", [("nowhere", "is not there"), ("set.tar", "unpack it first")])
def test_what_is_no_folder_is_refused(tmp_path, name, sentence):
    (tmp_path / "set.tar").write_bytes(b"")
    with pytest.raises(InputError, match=sentence):
        photographs.find(tmp_path / name, seed=0)


@pytest.fixture
def counted(tmp_path, write_picture):
    """Reads a folder with so many training pictures of each class."""

    def read_counts(*counts):
        for label, count in enumerate(counts):
            for number in range(count):
                write_picture(tmp_path / "n" / "train" / f"c{label}" / f"{number}.png", (label, number, 0), (4, 4))
        write_picture(tmp_path / "n" / "test" / "c0" / "0.png", (9, 9, 9), (4, 4))
        return photographs.read(photographs.find(tmp_path / "n", 0), (4, 4, 3), tmp_path / "cache")

    return read_counts


def test_validation_is_a_share_of_every_class_and_never_all_of_it(counted):
    photos = counted(40, 10, 2, 1)
    training, validation, test = photographs.part(photos, share=0.2, seed=0)
    assert np.bincount(photos.labels[training], minlength=4).tolist() == [32, 8, 1, 1]
    assert np.bincount(photos.labels[validation], minlength=4).tolist() == [8, 2, 1, 0]
    assert [photos.paths[at] for at in test] == ["test/c0/0.png"]
    assert sorted([*training, *validation, *test]) == list(range(54))


def test_parts_depend_on_the_seed_alone(counted):
    photos = counted(20, 20)
    first, second, other = (photographs.part(photos, 0.3, seed).validation.tolist() for seed in (1, 1, 2))
    assert first == second != other


def test_one_training_picture_a_class_cannot_be_chosen_by(counted):
    with pytest.raises(InputError, match="two or more"):
        photographs.part(counted(1, 1), 0.2, 0)
