import errno
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from training.errors import InputError, exit_with_a_sentence


def told(capsys, error):
    """(exit status, stderr) of a program that ends with `error`."""
    with pytest.raises(SystemExit) as stopped, exit_with_a_sentence("The same command goes on."):
        raise error
    return stopped.value.code, capsys.readouterr().err


def test_wrong_input_is_its_own_sentence(capsys):
    assert told(capsys, InputError("No such thing.")) == (2, "No such thing.\n")


@pytest.mark.parametrize(
    "error, sentence",
    [
        (OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), "a/b"), "a/b cannot be used: Not a directory."),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "[Errno 28] No space left on device."),
        (
            tf.errors.ResourceExhaustedError(None, None, "{{function_node f}} runs/x; No space left on device\nmore"),
            "The disk is full: what TensorFlow saves could not be written. Make room on it, or give other folders.",
        ),
    ],
)
def test_what_the_machine_refuses_is_a_sentence_and_what_goes_on(capsys, error, sentence):
    assert told(capsys, error) == (2, f"{sentence} The same command goes on.\n")


def test_too_little_memory_of_tensorflows_is_one_without_the_same_command(capsys):
    error = tf.errors.ResourceExhaustedError(None, None, "{{function_node f}} OOM when allocating tensor with shape[9]")
    assert told(capsys, error)[1].endswith("OOM when allocating tensor with shape[9].\n")


def test_too_little_memory_is_a_sentence(capsys):
    status, sentence = told(capsys, MemoryError("Unable to allocate 288 GiB"))
    assert (status, sentence.split(".")[0]) == (2, "There is not enough memory (Unable to allocate 288 GiB)")


def test_ctrl_c_is_status_130_and_what_goes_on(capsys):
    with pytest.raises(SystemExit) as stopped, exit_with_a_sentence("The same command goes on."):
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "\nStopped. The same command goes on.\n"


def test_mistake_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), exit_with_a_sentence():
        raise ZeroDivisionError


@pytest.mark.parametrize("given", ["zoo list", "zoo --help", "training.evaluate --help"])
def test_output_that_nobody_reads_ends_a_program_silently(given):
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([sys.executable, "-m", *given.split()], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")
