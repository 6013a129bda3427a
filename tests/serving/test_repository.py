import threading

import pytest

from serving.errors import Code, ServingError
from serving.model_config import All, Latest, ModelConfig, Specific
from serving.repository import Options, Repository
from serving.versions import State

WAIT_S = 20


class Echo:
    """A servable that gives back what it is given and remembers whether it was closed."""

    signatures: dict = {}
    signature_defs: dict = {}
    engine_report: dict = {}

    def __init__(self):
        self.closed = threading.Event()

    def run(self, signature_name, inputs, outputs, deadline_s=None):
        return inputs

    def close(self):
        self.closed.set()


class Loads:
    """Loads versions as their `saved_model.pb` says: "bad" fails; `gate` holds every load until it is set."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.asked = []
        self.made = {}

    def __call__(self, name, version, path):
        self.asked.append((name, version))
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        if (path / "saved_model.pb").read_text() == "bad":
            raise ServingError(Code.DATA_LOSS, "unreadable")
        self.made[name, version] = Echo()
        return self.made[name, version]


class Seen:
    """Waits for a version to reach a state."""

    def __init__(self):
        self.states = []
        self.changed = threading.Condition()

    def __call__(self, version):
        with self.changed:
            self.states.append((version.version, version.state, version.error.message if version.error else ""))
            self.changed.notify_all()

    def wait(self, version, state, error=""):
        def happened():
            return any((v, s) == (version, state) and error in message for v, s, message in self.states)

        with self.changed:
            assert self.changed.wait_for(happened, WAIT_S), self.states


@pytest.fixture
def loads():
    return Loads()


@pytest.fixture
def seen():
    return Seen()


@pytest.fixture
def repository(loads, seen):
    repository = Repository(loads, Options(file_system_poll_wait_seconds=-1, max_num_load_retries=0), seen)
    yield repository
    loads.gate.set()
    repository.stop()


@pytest.fixture
def write(tmp_path):
    def write(name, version, content="good"):
        directory = tmp_path / name / str(version)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "saved_model.pb").write_text(content)
        return str(tmp_path / name)

    return write


def served(repository, name="m"):
    return sorted(status.version for status in repository.models.status(name) if status.state is State.AVAILABLE)


@pytest.mark.parametrize(
    "policy, expected",
    [(Latest(1), [3]), (Latest(2), [2, 3]), (All(), [1, 2, 3]), (Specific((1, 3)), [1, 3])],
)
def test_version_policy_chooses_what_is_served(repository, write, policy, expected):
    for version in (1, 2, 3):
        base_path = write("m", version)
    repository.replace([ModelConfig("m", base_path, policy)])
    assert served(repository) == expected


def test_latest_version_answers_when_none_is_asked_for(repository, write):
    write("m", 9)
    repository.replace([ModelConfig("m", write("m", 10), All())])
    with repository.models.acquire("m") as version:
        assert version.version == 10


@pytest.mark.parametrize(
    "name, is_version", [("00000123", True), ("v2", False), ("1.5", False), ("tmp-3", False), (2**63, False)]
)
def test_only_integer_names_are_versions(repository, write, name, is_version):
    write("m", 1)
    repository.replace([ModelConfig("m", write("m", name), All())])
    assert served(repository) == ([1, 123] if is_version else [1])


def test_new_version_is_available_before_the_old_one_goes(repository, write, seen, loads):
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2)
    repository.poll()
    seen.wait(2, State.AVAILABLE)
    seen.wait(1, State.END)
    assert seen.states.index((2, State.AVAILABLE, "")) < seen.states.index((1, State.UNLOADING, ""))
    assert loads.made["m", 1].closed.is_set()


def test_bad_new_version_leaves_the_old_one_serving_and_shows_its_error(repository, write, seen):
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2, "bad")
    repository.poll()
    seen.wait(2, State.END, "unreadable")
    with repository.models.acquire("m") as version:
        assert version.version == 1
    status = repository.models.status("m", 2)[0]
    assert (status.state, status.error.code) == (State.END, Code.DATA_LOSS)


def test_failed_version_loads_once_its_directory_has_changed(repository, write, seen):
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2, "bad")
    repository.poll()
    seen.wait(2, State.END, "unreadable")
    write("m", 2, "copied in full by now")
    repository.poll()
    seen.wait(2, State.AVAILABLE)


def test_version_written_to_while_it_loads_is_not_served_half(repository, write, seen, loads):
    loads.gate.clear()
    repository.apply([ModelConfig("m", write("m", 1))])
    assert loads.entered.wait(WAIT_S)
    write("m", 1, "the rest of the copy")
    loads.gate.set()
    seen.wait(1, State.END, "was written to while it was loading")
    assert loads.made["m", 1].closed.wait(WAIT_S)
    repository.poll()
    seen.wait(1, State.AVAILABLE)


def test_version_in_use_is_unloaded_only_after_its_last_request(repository, write, seen, loads):
    repository.replace([ModelConfig("m", write("m", 1))])
    with repository.models.acquire("m"):
        write("m", 2)
        repository.poll()
        seen.wait(2, State.AVAILABLE)
        seen.wait(1, State.UNLOADING)
        assert not loads.made["m", 1].closed.is_set()
    assert loads.made["m", 1].closed.wait(WAIT_S)


def test_model_out_of_the_configuration_is_unloaded(repository, write, seen):
    one, two = ModelConfig("one", write("one", 1)), ModelConfig("two", write("two", 2))
    repository.replace([one, two])
    repository.replace([two])
    seen.wait(1, State.END)
    with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(one\)"):
        repository.models.acquire("one")
    assert served(repository, "two") == [2]


def test_model_that_comes_back_is_loaded_again(repository, write, seen):
    config = ModelConfig("m", write("m", 1))
    repository.replace([config])
    repository.replace([])
    seen.wait(1, State.END)
    repository.replace([config])
    assert served(repository) == [1]


def test_model_without_versions_is_told_once_and_is_served_when_one_comes(repository, tmp_path, write, caplog):
    (tmp_path / "m").mkdir()
    repository.apply([ModelConfig("m", str(tmp_path / "m"))])
    repository.poll()
    write("m", 1)
    repository.poll()
    repository.wait_until_loaded(["m"])
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1 and told[0].startswith(f"Model 'm': no version under {tmp_path / 'm'}. Did you forget")


def test_storage_that_is_away_unloads_nothing(repository, write, tmp_path):
    repository.replace([ModelConfig("m", write("m", 1))])
    (tmp_path / "m").rename(tmp_path / "away")
    repository.poll()
    assert served(repository) == [1]


def test_failed_load_is_tried_again_and_then_given_up(loads, seen, write):
    options = Options(file_system_poll_wait_seconds=-1, max_num_load_retries=2, load_retry_interval_s=0)
    repository = Repository(loads, options, seen)
    with pytest.raises(ServingError, match="unreadable"):
        repository.replace([ModelConfig("m", write("m", 1, "bad"))])
    assert loads.asked == [("m", 1)] * 3
    repository.stop()


def test_failed_version_is_tried_anew_when_its_model_comes_back(loads, seen, write):
    options = Options(file_system_poll_wait_seconds=-1, max_num_load_retries=0)
    repository = Repository(loads, options, seen)
    config = ModelConfig("m", write("m", 1, "bad"))
    for tried in (1, 2):
        with pytest.raises(ServingError, match="unreadable"):
            repository.replace([config])
        assert loads.asked == [("m", 1)] * tried
        repository.replace([])
    repository.stop()


@pytest.mark.parametrize(
    "name, version, label, code, message",
    [
        ("other", None, None, Code.NOT_FOUND, "Servable not found for request: Latest(other). Models served: m."),
        ("m", 9, None, Code.NOT_FOUND, "Servable not found for request: Specific(m, 9). Loaded versions: 1."),
        ("m", None, "canary", Code.INVALID_ARGUMENT, "Unrecognized servable version label: canary. "),
    ],
)
def test_what_is_not_there_is_refused_in_the_contracts_words(repository, write, name, version, label, code, message):
    repository.replace([ModelConfig("m", write("m", 1), Latest(), {"stable": 1})])
    with pytest.raises(ServingError) as refused:
        repository.models.acquire(name, version, label)
    assert refused.value.code is code
    assert refused.value.message.startswith(message)


@pytest.mark.parametrize("versions, expected", [((1, 2), 2), ((0, 2), 0)])
def test_version_0_is_the_latest_where_there_is_no_0(repository, write, versions, expected):
    for version in versions:
        base_path = write("m", version)
    repository.replace([ModelConfig("m", base_path, All())])
    with repository.models.acquire("m", 0) as version:
        assert version.version == expected


def test_status_of_what_was_never_there_is_not_found(repository, write):
    repository.replace([ModelConfig("m", write("m", 1))])
    with pytest.raises(ServingError, match="^Could not find any versions of model x$"):
        repository.models.status("x")
    with pytest.raises(ServingError, match="^Could not find version 9 of model m$"):
        repository.models.status("m", 9)


def test_label_leads_to_its_version(repository, write):
    write("m", 1)
    repository.replace([ModelConfig("m", write("m", 2), All(), {"stable": 1, "canary": 2})])
    with repository.models.acquire("m", label="stable") as version:
        assert version.version == 1


def test_label_for_a_version_that_is_not_loaded_is_refused_and_the_old_labels_stay(repository, write):
    base_path = write("m", 1)
    repository.replace([ModelConfig("m", base_path, Latest(), {"stable": 1})])
    with pytest.raises(ServingError, match="Request to assign label to version 7 of model m, which is not") as refused:
        repository.replace([ModelConfig("m", base_path, Latest(), {"stable": 7})])
    assert refused.value.code is Code.FAILED_PRECONDITION
    with repository.models.acquire("m", label="stable") as version:
        assert version.version == 1


@pytest.mark.parametrize("label, allowed", [("new", True), ("stable", False)])
def test_label_flag_lets_new_labels_alone_wait_for_their_version(loads, write, label, allowed):
    options = Options(file_system_poll_wait_seconds=-1, allow_version_labels_for_unavailable_models=True)
    repository = Repository(loads, options)
    base_path = write("m", 1)
    repository.replace([ModelConfig("m", base_path, Latest(), {"stable": 1})])
    configs = [ModelConfig("m", base_path, Latest(), {"stable": 1, label: 7})]
    if allowed:
        repository.replace(configs)
    else:
        with pytest.raises(ServingError):
            repository.replace(configs)
    repository.stop()


def test_poll_picks_up_a_new_version_by_itself(loads, seen, write):
    repository = Repository(loads, Options(file_system_poll_wait_seconds=0.01), seen)
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2)
    seen.wait(2, State.AVAILABLE)
    repository.stop()


def test_stop_closes_everything(loads, write):
    repository = Repository(loads, Options(file_system_poll_wait_seconds=-1))
    repository.replace([ModelConfig("m", write("m", 1)), ModelConfig("n", write("n", 1))])
    repository.stop()
    assert all(echo.closed.is_set() for echo in loads.made.values())


def failing_once_replaced(loads, seen, write, **options):
    """A repository whose version 2 has failed and waits to be tried again, version 1 serving."""
    repository = Repository(loads, Options(file_system_poll_wait_seconds=-1, **options), seen)
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2, "bad")
    repository.poll()
    seen.wait(2, State.LOADING, "unreadable")
    return repository


@pytest.mark.parametrize("how", ["a newer one has come", "the model has gone"])
def test_failed_version_that_is_wanted_no_more_has_ended(loads, seen, write, how):
    repository = failing_once_replaced(loads, seen, write, load_retry_interval_s=3600)
    if how == "a newer one has come":
        write("m", 3)
        repository.poll()
    else:
        repository.apply([])
    seen.wait(2, State.END, "unreadable")
    repository.stop()
    assert loads.asked.count(("m", 2)) == 1


def test_repository_outlives_a_look_that_fails(loads, seen, write, tmp_path, monkeypatch, caplog):
    looks = threading.Semaphore(0)

    def fail(base_path):
        looks.release()
        raise ValueError("embedded null byte")

    repository = Repository(loads, Options(file_system_poll_wait_seconds=0.01), seen)
    repository.replace([ModelConfig("m", write("m", 1))])
    with monkeypatch.context() as patched:
        patched.setattr("serving.repository.versions_on_disk", fail)
        for _ in range(2):
            assert looks.acquire(timeout=WAIT_S)
    write("m", 2)
    seen.wait(2, State.AVAILABLE)
    repository.stop()


def test_waiting_for_a_version_that_was_found_this_moment(repository, loads, write):
    repository.replace([ModelConfig("m", write("m", 1))])
    model = repository.models.by_name["m"]
    with repository.models.changed:
        model.wanted = {**model.wanted, 2: write("m", 2)}  # as a poll in another thread leaves it for a while
        repository.wait_until_loaded(["m"], stop=iter([False, True]).__next__)


def test_reload_does_not_wait_for_what_was_there_and_failed(repository, write, seen):
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2, "bad")
    repository.poll()
    seen.wait(2, State.END, "unreadable")
    labels = {"stable": 1}
    repository.replace([ModelConfig("m", write("m", 1), Latest(1), labels), ModelConfig("n", write("n", 1))])
    assert repository.models.by_name["m"].labels == labels
    assert served(repository, "n") == [1]


def test_labels_follow_their_versions_when_who_reloaded_has_left(repository, write, loads, seen):
    loads.gate.clear()
    repository.replace([ModelConfig("m", write("m", 1), Latest(1), {"stable": 1})], stop=lambda: True)
    assert repository.models.by_name["m"].labels == {}
    loads.gate.set()
    repository.wait_until_loaded(["m"])
    with repository.models.acquire("m", label="stable") as version:
        assert version.version == 1


def test_reload_waits_for_a_version_that_gets_a_label(repository, write, loads):
    repository.replace([ModelConfig("m", write("m", 1))])
    write("m", 2)
    repository.replace([ModelConfig("m", write("m", 2), All(), {"canary": 2})])
    with repository.models.acquire("m", label="canary") as version:
        assert version.version == 2


def test_model_that_comes_back_is_served_from_its_new_place_alone(repository, write, seen, tmp_path):
    repository.replace([ModelConfig("m", write("m", 1))])
    repository.replace([])
    seen.wait(1, State.END)
    repository.apply([ModelConfig("m", str(tmp_path / "missing"))])
    assert served(repository) == []


def test_reload_waits_for_another_version_of_a_model_that_was_there(repository, write):
    write("m", 1)
    repository.replace([ModelConfig("m", write("m", 2), Specific((1,)))])
    repository.replace([ModelConfig("m", write("m", 2), Specific((1, 2)))])
    assert served(repository) == [1, 2]


def test_label_moves_to_a_loaded_version_before_the_other_is_unloaded(repository, write, loads, seen):
    """Labels go first, whatever else of the configuration is still loading."""
    write("m", 1)
    base_path = write("m", 2)
    repository.replace([ModelConfig("m", base_path, All(), {"stable": 1})])
    loads.gate.clear()
    other = ModelConfig("n", write("n", 1))
    repository.replace([ModelConfig("m", base_path, Specific((2,)), {"stable": 2}), other], stop=lambda: True)
    seen.wait(1, State.END)
    with repository.models.acquire("m", label="stable") as version:
        assert version.version == 2


def test_label_moves_to_a_loaded_version_while_anothers_loads(repository, write, loads, seen):
    for version in (1, 2, 3):
        base_path = write("m", version)
    repository.replace([ModelConfig("m", base_path, Specific((1, 2)), {"stable": 1, "canary": 2})])
    loads.gate.clear()
    moved = ModelConfig("m", base_path, Specific((2, 3)), {"stable": 2, "canary": 3})
    repository.replace([moved], stop=lambda: True)
    seen.wait(1, State.END)
    for label in "stable", "canary":
        with repository.models.acquire("m", label=label) as version:
            assert version.version == 2


def test_model_corrected_while_the_wrong_one_loads_is_loaded_from_where_it_is_now(repository, write, loads):
    loads.gate.clear()
    repository.apply([ModelConfig("m", write("wrong", 1))])
    assert loads.entered.wait(WAIT_S)
    right = write("right", 1)
    repository.apply([ModelConfig("m", right)])
    loads.gate.set()
    repository.wait_until_loaded(["m"])
    with repository.models.acquire("m") as version:
        assert str(version.path) == f"{right}/1"


def test_refused_reload_changes_nothing(repository, write):
    stays, goes, comes = (ModelConfig(name, write(name, 1), Latest(), {"stable": 1}) for name in "mno")
    repository.replace([stays, goes])
    with pytest.raises(ServingError, match="Request to assign label to version 7 of model m"):
        repository.replace([ModelConfig("m", stays.base_path, Latest(), {"stable": 7}), comes])
    assert repository.configs() == (stays, goes)
    assert served(repository, "n") == [1]


def test_start_waits_for_the_latest_version_and_passes_over_older_ones_that_failed(repository, write):
    write("m", 1, "bad")
    repository.apply([ModelConfig("m", write("m", 2), All())])
    repository.wait_until_loaded(["m"])
    assert served(repository) == [2]


@pytest.mark.parametrize("retries", [0, 5])
def test_model_that_failed_is_loaded_from_the_place_it_is_corrected_to(loads, seen, write, retries):
    repository = Repository(loads, Options(file_system_poll_wait_seconds=-1, max_num_load_retries=retries), seen)
    repository.apply([ModelConfig("m", write("wrong", 1, "bad"))])
    seen.wait(1, State.LOADING if retries else State.END, "unreadable")
    repository.replace([ModelConfig("m", write("right", 1))])
    repository.wait_until_loaded(["m"])
    assert served(repository) == [1]
    repository.stop()


def test_model_whose_place_changes_keeps_what_is_loaded_and_says_so(repository, write, caplog):
    repository.replace([ModelConfig("m", write("here", 1))])
    repository.replace([ModelConfig("m", write("there", 1))])
    assert "stay as loaded from" in caplog.text
    assert served(repository) == [1]
