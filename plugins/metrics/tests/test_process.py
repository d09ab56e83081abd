"""What is shown of the process."""

import os
import resource

from broker_metrics.process import process_numbers


def test_the_process_is_shown_under_the_names_that_everybody_knows():
    shown = {one.name: one for one in process_numbers()}

    assert {name: one.kind for name, one in shown.items()} == {
        "process_virtual_memory_bytes": "gauge",
        "process_resident_memory_bytes": "gauge",
        "process_start_time_seconds": "gauge",
        "process_cpu_seconds": "counter",
        "process_open_fds": "gauge",
        "process_max_fds": "gauge",
    }
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert shown["process_max_fds"].points == {(): soft}


def open_files():
    [files] = [one for one in process_numbers() if one.name == "process_open_fds"]
    return files.points[()]


def test_it_is_looked_at_anew_each_time():
    before = open_files()
    pipe = os.pipe()
    try:
        assert open_files() == before + 2
    finally:
        for end in pipe:
            os.close(end)
