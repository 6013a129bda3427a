import subprocess
import sys

PROGRAM = """
from training.quiet import import_tensorflow
import_tensorflow()
import tensorflow as tf
def traced(at):
    return at
for at in range(8):
    tf.function(traced)(at)
tf.get_logger().warning("Another warning.")
"""


def test_functions_that_are_traced_anew_are_not_warned_of_and_other_things_are():
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "retracing" not in ended.stderr and "Another warning." in ended.stderr
