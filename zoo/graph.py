"""One walk over the graph of a Keras model, for all that reads or rewrites it."""

import contextlib

import keras
from keras.src.backend.common import global_state


def walk(model, inputs, call, prefix=""):
    """Takes `inputs` through the graph of `model`, the graphs of models nested in it included.

    Args:
        model: a functional or built sequential model.
        inputs: one object for each input of the model: anything at all, since only `call` looks at them.
        call: `call(name, op, args, kwargs)` is given each layer or operation in order, named by its path, with the
            objects in place of tensors, and returns what stands for the outputs.
        prefix: what the names begin with.

    Returns:
        A list of what stands for the outputs of the model.
    """

    def visit(op, *args, **kwargs):
        if is_graph(op):
            given = [x for x in keras.tree.flatten((args, kwargs)) if not isinstance(x, bool | None)]
            return walk(op, given, call, f"{prefix}{op.name}/")
        return call(prefix + op.name, op, args, kwargs)

    # Keras offers no public walk. This one is what its own Functional.call and clone_model stand on.
    return keras.Function(model.inputs, model.outputs)._run_through_graph(list(inputs), call_fn=visit)


def is_graph(model):
    """Whether `model` is a model whose layers and their connections can be seen."""
    return isinstance(model, keras.Function | keras.Sequential) and model.built


@contextlib.contextmanager
def shapes_only():
    """Models built in this context have weights of the right shapes and without values.

    VGG-16's 138 million numbers cost neither time nor memory where only shapes are asked for.
    """
    pending = "uninitialized_variables"
    before = global_state.get_global_attribute(pending, [])[:]
    with keras.StatelessScope(initialize_variables=False):
        yield
    global_state.set_global_attribute(pending, before)  # else Keras makes the values when its next scope ends
