"""Photographs turned upright inside a TensorFlow graph, as their cameras noted in the JPEG's EXIF data.

`tf.io.decode_image` leaves that note unread, and Pillow, by which the pictures for training are read, follows it.
Source: the EXIF standard, tag 274, Orientation.
"""

import tensorflow as tf

HEADER_BYTES = 512  # where the tag is: a camera writes its EXIF data first
# The TIFF header in either byte order, the number of entries of 12 bytes, some entries, and the tag with its value.
# \C is any one byte: these are no characters.
PATTERN = (
    r"^\C*?Exif\x00\x00(?:"
    r"II\x2a\x00\x08\x00\x00\x00\C\C(?:\C{12}){0,24}?\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])"
    r"|"
    r"MM\x00\x2a\x00\x00\x00\x08\C\C(?:\C{12}){0,24}?\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])"
    r")\C*$"
)
IS_FLIPPED_ACROSS = [False, False, True, True, False, False, True, True, False]
IS_FLIPPED_DOWN = [False, False, False, True, True, False, False, True, True]


def orientation(content):
    """int32, 1 to 8, of the encoded picture `content`, a scalar string; 1, upright, where it says nothing."""
    header = tf.strings.substr(content, 0, HEADER_BYTES)
    found = tf.strings.regex_replace(header, PATTERN, r"\1\2", replace_global=False)
    value = tf.io.decode_raw(found + b"\x01", tf.uint8)[0]
    return tf.where(tf.strings.length(found) == 1, tf.cast(value, tf.int32), 1)


def upright(image, orientation):
    """The image [H, W, C] as it is to be looked at; orientations from 5 on lie on their side."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(tf.gather(IS_FLIPPED_ACROSS, orientation), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(tf.gather(IS_FLIPPED_DOWN, orientation), lambda: tf.reverse(image, [0]), lambda: image)
