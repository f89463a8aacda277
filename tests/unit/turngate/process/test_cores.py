"""The cores that a process may use."""

from __future__ import annotations

import os

import pytest

from turngate.process import cores as cores_module
from turngate.process.cores import quota_of, usable_cores

VERSION_2 = "0::/kubepods/pod-1\n"
VERSION_1 = "4:memory:/pods\n2:cpu,cpuacct:/pods/one\n1:name=systemd:/\n"


def test_a_group_without_a_quota_has_no_limit() -> None:
    assert quota_of(VERSION_2, {"cpu.max": "max 100000\n"}.get) is None
    assert quota_of(VERSION_1, {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "1"}.get) is None
    assert quota_of("", lambda _: "1 1") is None


@pytest.mark.parametrize("folder", ["", "kubepods/", "kubepods/pod-1/"])
def test_the_smallest_quota_counts_at_whatever_level_it_is(folder: str) -> None:
    files = {"kubepods/cpu.max": "max 100000", "cpu.max": "900000 100000", f"{folder}cpu.max": "250000 100000"}
    assert quota_of(VERSION_2, files.get) == 2.5


def test_the_older_cgroups_are_understood() -> None:
    files = {"cpu,cpuacct/pods/cpu.cfs_quota_us": "150000", "cpu,cpuacct/pods/cpu.cfs_period_us": "100000"}
    assert quota_of(VERSION_1, files.get) == 1.5


@pytest.mark.parametrize(("quota", "cores"), [(None, 4), (9.0, 4), (2.9, 2), (0.5, 1)])
def test_cores_are_those_of_the_affinity_or_the_quota(
    quota: float | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5, 7}, raising=False)
    monkeypatch.setattr(cores_module, "quota_of", lambda _, __: quota)
    assert usable_cores() == cores
