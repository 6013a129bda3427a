import os

import pytest

from serving import processors


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


def test_lower_of_limit_and_binding_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(processors, "QUOTA", tmp_path / "cpu.max")
    processors.QUOTA.write_text("100000 100000")
    assert processors.schedulable_processors() == 1
    processors.QUOTA.write_text("409600000 100000")
    assert processors.schedulable_processors() == len(os.sched_getaffinity(0))
