import os

import pytest

from serving import processors
from serving.flags import Flags


@pytest.mark.parametrize(
    "told, limit", [("200000 100000\n", 2), ("150000 100000\n", 2), ("50000 100000\n", 1), ("max 100000\n", None)]
)
def test_containers_limit_is_whole_processors_of_cpu_max(told, limit, tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    processors.QUOTA.write_text(told)
    assert processors.limit() == limit


def test_no_control_group_is_no_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    assert processors.limit() is None
    assert processors.schedulable_processors() == len(os.sched_getaffinity(0))


def test_engines_start_no_more_threads_than_the_limit_and_choose_without_one(tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    assert Flags().engine_options().tensorflow_intra_op_parallelism == 0
    processors.QUOTA.write_text("100000 100000")
    assert Flags().engine_options().tensorflow_intra_op_parallelism == 1
    assert Flags(tensorflow_intra_op_parallelism=3).engine_options().tensorflow_intra_op_parallelism == 3


def test_limit_above_what_the_process_is_bound_to_adds_no_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    processors.QUOTA.write_text("409600000 100000")
    bound = len(os.sched_getaffinity(0))
    assert Flags().engine_options().tensorflow_intra_op_parallelism == bound


def test_lower_of_limit_and_binding_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    processors.QUOTA.write_text("100000 100000")
    assert processors.schedulable_processors() == 1
    processors.QUOTA.write_text("409600000 100000")
    assert processors.schedulable_processors() == len(os.sched_getaffinity(0))
