import threading
import time

import numpy as np
import pytest

from serving.batching import LARGE_ROWS, NATURAL_ROWS, Batched
from serving.errors import Code, ServingError
from serving.model_config import BatchingParameters
from serving.servable import batches_at_a_time
from serving.signature import Signature, TensorSpec
from serving.workers import Workers

F32 = np.dtype(np.float32)
TIMEOUT_S = 20


def signature(inputs, outputs):
    return Signature(
        {name: TensorSpec(F32, shape) for name, shape in inputs.items()},
        {name: TensorSpec(F32, shape) for name, shape in outputs.items()},
        "",
        {},
    )


class Doubler:
    """Doubles its rows and notes every batch; while `gate` is shut, runs wait."""

    signature_defs = engine_report = {}
    stateful = frozenset({"counted"})
    signatures = {
        "double": signature({"x": (None, None)}, {"y": (None, None)}),
        "sum": signature({"x": (None, None)}, {"y": (None, None)}),
        "two": signature({"x": (None,), "z": (None,)}, {"y": (None,)}),
        "counted": signature({"x": (None, None)}, {"y": (None, None)}),
        "fixed": signature({"x": (1, None)}, {"y": (1, None)}),
        "scalar": signature({"x": ()}, {"y": ()}),
        "broken": signature({"x": (None, None)}, {"y": (None, None)}),
        "small": signature({"x": (None, None)}, {"y": (None, None)}),
        "found": signature({"x": (None,)}, {"y": (None, None)}),
    }

    def __init__(self):
        self.batches = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def run(self, signature_name, inputs, outputs, deadline_s=None):
        x = inputs["x"]
        self.batches.append((signature_name, x))
        self.entered.release()
        assert self.gate.wait(TIMEOUT_S)
        if signature_name == "broken":
            raise KeyError("lost")
        if (x == 13).any():
            raise ServingError(Code.INVALID_ARGUMENT, "Thirteen is not doubled here.")
        if signature_name == "sum":
            return {"y": x + x.sum(0, keepdims=True)}
        if signature_name == "small":
            return {"y": x[x[:, 0] < 1000]}
        return {"y": 2 * x}

    def close(self):
        self.batches = None

    def sizes(self, name="double"):
        return [len(x) for batch_name, x in self.batches if batch_name == name]


class Answers:
    """Callbacks for `submit`, and what they were called with, by the order of the requests."""

    def __init__(self, batched):
        self.batched = batched
        self.found = {}
        self.arrived = threading.Condition()

    def ask(self, x, name="double", deadline_s=None, **more):
        number = len(self.found)
        self.found[number] = None

        def done(answer):
            with self.arrived:
                self.found[number] = answer
                self.arrived.notify_all()

        return self.batched.submit(name, {"x": f32(x), **more}, ("y",), deadline_s, done)

    def all(self):
        with self.arrived:
            assert self.arrived.wait_for(lambda: None not in self.found.values(), TIMEOUT_S)
        return [answer if isinstance(answer, ServingError) else answer["y"].tolist() for answer in self.found.values()]


def f32(values):
    return np.array(values, np.float32)


@pytest.fixture
def doubler():
    return Doubler()


@pytest.fixture
def make(doubler):
    """Makes a Batched around `doubler`, with rules given as keywords or none for natural batching."""
    all_workers = []

    def make(threads=4, observe=lambda *_: None, **rules):
        workers = Workers(threads)
        all_workers.append(workers)
        return Batched(doubler, workers, BatchingParameters(**rules) if rules else None, observe)

    yield make
    doubler.gate.set()
    for workers in all_workers:
        workers.close()


@pytest.fixture
def held(doubler):
    """Keeps every batch that may run at a time busy with one row, so that what is asked next has to wait."""

    def held(batched, running=None, name="double"):
        answers = Answers(batched)
        doubler.gate.clear()
        for _ in range(running or batches_at_a_time()):
            answers.ask([[1.0]], name)
            assert doubler.entered.acquire(timeout=TIMEOUT_S)
        doubler.batches.clear()
        return answers

    return held


def refusal(call, *args):
    with pytest.raises(ServingError) as refused:
        call(*args)
    return refused.value.code, refused.value.message


# Natural batching


def test_idle_signature_runs_a_request_at_once(make, doubler):
    assert make().run("double", {"x": f32([[1], [2]])}, ["y"])["y"].tolist() == [[2], [4]]
    assert doubler.sizes() == [2]


def test_requests_that_wait_run_together_and_get_their_own_rows(make, doubler, held):
    answers = held(make())
    for rows in [[2]], [[3], [4]], [[5]]:
        answers.ask(rows)
    doubler.gate.set()
    assert answers.all()[-3:] == [[[4]], [[6], [8]], [[10]]]
    assert doubler.batches[-1][1].tolist() == [[2], [3], [4], [5]]


def test_batch_has_at_most_so_many_rows(make, doubler, held):
    answers = held(make())
    for number in range(NATURAL_ROWS + 3):
        answers.ask([[number + 20]])
    doubler.gate.set()
    assert answers.all()[-1] == [[2 * (NATURAL_ROWS + 22)]]
    assert max(doubler.sizes()) == NATURAL_ROWS


def test_larger_request_runs_whole(make, doubler):
    rows = f32(np.arange(100, 300)[:, np.newaxis])
    assert np.array_equal(make().run("double", {"x": rows}, ["y"])["y"], 2 * rows)
    assert doubler.sizes() == [200]


def test_shapes_that_differ_are_run_apart(make, doubler, held):
    answers = held(make())
    answers.ask([[2, 3]])
    answers.ask([[4, 5, 6]])
    doubler.gate.set()
    assert answers.all()[-2:] == [[[4, 6]], [[8, 10, 12]]]


def test_rows_that_depend_on_each_other_are_run_apart(make, doubler, held):
    answers = held(make(), name="sum")
    answers.ask([[2]], "sum")
    answers.ask([[3]], "sum")
    doubler.gate.set()
    assert answers.all()[-2:] == [[[4]], [[6]]]


def test_answers_of_as_many_rows_as_the_values_have_it_are_each_requests_own(make, doubler, held):
    answers = held(make(), name="small")
    for value in 2, 2000, 3, 4:
        answers.ask([[value]], "small")
    doubler.gate.set()
    assert answers.all()[-4:] == [[[2]], [], [[3]], [[4]]]


def test_large_request_holds_no_other_up(make, doubler):
    answers = Answers(make())
    doubler.gate.clear()
    answers.ask(np.ones((LARGE_ROWS + 1, 1)))
    assert doubler.entered.acquire(timeout=TIMEOUT_S)
    answers.ask([[3]])
    assert doubler.entered.acquire(timeout=TIMEOUT_S)
    doubler.gate.set()
    assert answers.all()[-1] == [[6]]
    assert doubler.sizes() == [LARGE_ROWS + 1, 1]


@pytest.mark.parametrize("z", [[1.0, 2.0, 3.0], 1.0])
def test_inputs_that_disagree_on_their_rows_are_the_models_to_judge(make, doubler, z):
    assert make().run("two", {"x": f32([1]), "z": f32(z)}, ["y"])["y"].tolist() == [2]
    assert doubler.sizes("two") == [1]


@pytest.mark.parametrize("name, row", [("counted", [[2]]), ("fixed", [[2]]), ("scalar", 2)])
def test_signature_with_state_or_without_free_rows_is_never_batched(make, doubler, held, name, row):
    answers = held(make(), 4, name)
    for _ in range(3):
        answers.ask(row, name)
    doubler.gate.set()
    answers.all()
    assert [x.shape for _, x in doubler.batches] == [np.shape(row)] * 3


def test_fault_of_one_request_is_not_its_neighbours(make, doubler, held):
    answers = held(make())
    for number in 12, 13, 14:
        answers.ask([[number]])
    doubler.gate.set()
    before, fault, after = answers.all()[-3:]
    assert (before, after) == ([[24]], [[28]])
    assert fault.message == "Thirteen is not doubled here."


def test_request_whose_deadline_passed_in_the_queue_is_not_run(make, doubler, held):
    answers = held(make())
    answers.ask([[2]], deadline_s=time.monotonic())
    doubler.gate.set()
    assert answers.all()[-1].code is Code.DEADLINE_EXCEEDED
    assert doubler.batches == []


def test_request_whose_caller_has_gone_is_not_run(make, doubler, held):
    answers = held(make())
    answers.ask([[2]]).cancel()
    doubler.gate.set()
    assert answers.all()[-1].code is Code.CANCELLED
    assert doubler.batches == []


def test_run_gives_up_at_its_deadline(make, doubler, held):
    batched = make()
    held(batched)
    code, _ = refusal(batched.run, "double", {"x": f32([[1]])}, ["y"], time.monotonic() + 0.05)
    assert code is Code.DEADLINE_EXCEEDED


def test_failure_of_another_kind_is_internal(make, caplog):
    code, message = refusal(make().run, "double", {"other": f32([[1]])}, ["y"])
    assert (code, message) == (Code.INTERNAL, "KeyError: 'x'")
    assert "A model failed inside the server." in caplog.text


def test_signature_whose_answers_sizes_are_up_to_the_values_runs_its_requests_apart(make, doubler, held):
    answers = held(make())
    for value in (1, 2, 3):
        answers.ask([value], "found")
    doubler.gate.set()
    assert answers.all()[-3:] == [[2], [4], [6]]
    assert doubler.sizes("found") == [1, 1, 1]


def test_failure_of_another_kind_answers_every_request_of_a_batch_and_the_next_one(make, doubler, held):
    answers = held(make(threads=1), name="broken")
    answers.ask([[2]], "broken")
    answers.ask([[3]], "broken")
    doubler.gate.set()
    answers.all()
    answers.ask([[4]], "broken")
    assert [(answer.code, answer.message) for answer in answers.all()[-3:]] == [(Code.INTERNAL, "KeyError: 'lost'")] * 3


def test_busy_signature_does_not_starve_another(make, doubler, held):
    batched = make(threads=1, max_batch_size=2, num_batch_threads=1)
    answers = held(batched, 1)
    for number in range(20, 28):
        answers.ask([[number]])
    answers.ask([[3]], "sum")
    doubler.gate.set()
    answers.all()
    assert [name for name, _ in doubler.batches] == ["sum", "double", "double", "double", "double"]


def test_observer_hears_of_rows_and_waits(make, doubler, held):
    heard = []
    answers = held(make(observe=lambda *batch: heard.append(batch)))
    answers.ask([[2]])
    answers.ask([[3], [4]])
    doubler.gate.set()
    answers.all()
    name, rows, waits_s = heard[-1]
    assert (name, rows, len(waits_s)) == ("double", 3, 2)
    assert all(wait_s >= 0 for wait_s in waits_s)


# TensorFlow Serving's rules


@pytest.mark.parametrize(
    "inputs, code, message",
    [
        (
            {"x": f32(np.ones((65, 1)))},
            Code.INVALID_ARGUMENT,
            "Task size 65 is larger than maximum input batch size 64",
        ),
        (
            {"x": f32(1)},
            Code.INVALID_ARGUMENT,
            "Batching Run() input tensors must have at least one dimension",
        ),
    ],
)
def test_request_that_no_batch_can_hold_is_refused_at_once(make, inputs, code, message):
    assert refusal(make(max_batch_size=64).run, "double", inputs, ["y"]) == (code, message)


def test_inputs_that_disagree_on_their_rows_are_refused_by_the_rules(make):
    code, message = refusal(make(max_batch_size=64).run, "two", {"x": f32([1, 2]), "z": f32([1])}, ["y"])
    assert code is Code.INVALID_ARGUMENT
    assert message == "Batching Run() input tensors must have equal 0th-dimension size"


def test_full_queue_refuses_at_once(make, doubler, held):
    batched = make(max_batch_size=2, max_enqueued_batches=1, num_batch_threads=1)
    answers = held(batched, 1)
    answers.ask([[2], [3]])
    code, message = refusal(answers.ask, [[4]])
    assert code is Code.UNAVAILABLE
    assert message == "The batch scheduling queue to which this task was submitted is full"


def test_batch_is_padded_up_to_an_allowed_size(make, doubler, held):
    answers = held(make(max_batch_size=8, allowed_batch_sizes=(4, 8), num_batch_threads=1), 1)
    for number in 2, 3, 4:
        answers.ask([[number]])
    doubler.gate.set()
    assert answers.all()[-3:] == [[[4]], [[6]], [[8]]]
    assert doubler.batches[-1][1].tolist() == [[2], [3], [4], [2]]


def test_single_request_is_padded_too_and_gets_its_own_rows(make, doubler):
    batched = make(max_batch_size=4, allowed_batch_sizes=(4,))
    assert batched.run("double", {"x": f32([[1]])}, ["y"])["y"].tolist() == [[2]]
    assert doubler.sizes() == [4]


def test_shapes_that_differ_are_refused_without_padding(make, doubler, held):
    answers = held(make(max_batch_size=8, num_batch_threads=1), 1)
    answers.ask([[2, 3]])
    answers.ask([[4, 5, 6]])
    doubler.gate.set()
    for answer in answers.all()[-2:]:
        assert answer.code is Code.FAILED_PRECONDITION
        assert answer.message == (
            "Tensors with name 'x' from different tasks have different shapes and padding is turned off. "
            "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim."
        )


def test_shapes_that_differ_are_padded_with_zeros_where_asked(make, doubler, held):
    answers = held(make(max_batch_size=8, num_batch_threads=1, pad_variable_length_inputs=True), 1)
    answers.ask([[2, 3]])
    answers.ask([[4, 5, 6]])
    doubler.gate.set()
    assert answers.all()[-2:] == [[[4, 6, 0]], [[8, 10, 12]]]


def test_large_request_is_split_where_asked(make, doubler):
    batched = make(max_batch_size=7, enable_large_batch_splitting=True, max_execution_batch_size=3)
    rows = f32([[1], [2], [3], [4], [5], [6], [7]])
    assert np.array_equal(batched.run("double", {"x": rows}, ["y"])["y"], 2 * rows)
    assert sorted(doubler.sizes()) == [1, 3, 3]


def test_split_request_whose_caller_has_gone_is_not_run(make, doubler, held):
    rules = {"max_batch_size": 7, "enable_large_batch_splitting": True, "max_execution_batch_size": 3}
    answers = held(make(num_batch_threads=1, **rules), 1)
    answers.ask([[1], [2], [3], [4], [5], [6], [7]]).cancel()
    doubler.gate.set()
    assert answers.all()[-1].code is Code.CANCELLED
    assert doubler.batches == []


def test_padding_is_a_row_that_there_is(make, doubler, held):
    answers = held(make(max_batch_size=4, allowed_batch_sizes=(4,), num_batch_threads=1), 1)
    answers.ask(np.empty((0, 1)))
    answers.ask([[2], [3]])
    doubler.gate.set()
    assert answers.all()[-2:] == [[], [[4], [6]]]
    assert doubler.batches[-1][1].tolist() == [[2], [3], [2], [2]]


def test_batch_that_is_not_full_waits_for_its_timeout(make, doubler):
    answers = Answers(make(max_batch_size=8, batch_timeout_micros=100_000))
    started_s = time.monotonic()
    answers.ask([[1]])
    answers.ask([[2]])
    assert answers.all() == [[[2]], [[4]]]
    assert time.monotonic() - started_s >= 0.1
    assert doubler.sizes() == [2]


def test_batch_that_is_full_waits_for_nothing(make, doubler):
    answers = Answers(make(max_batch_size=2, batch_timeout_micros=60_000_000))
    answers.ask([[1]])
    answers.ask([[2]])
    assert answers.all() == [[[2]], [[4]]]


def test_rules_run_several_batches_at_a_time(make, doubler, held):
    answers = held(make(max_batch_size=1, num_batch_threads=3), 3)
    answers.ask([[2]])
    assert doubler.batches == []
    doubler.gate.set()
    assert answers.all()[-1] == [[4]]


def test_unloading_waits_for_a_batch_whose_caller_gave_up(make, doubler):
    batched = make()
    doubler.gate.clear()
    with pytest.raises(ServingError):
        batched.run("double", {"x": f32([[1]])}, ["y"], time.monotonic() + 0.01)
    assert doubler.entered.acquire(timeout=TIMEOUT_S)
    closing = threading.Thread(target=batched.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    doubler.gate.set()
    closing.join(TIMEOUT_S)
    assert not closing.is_alive()
