"""What the machine itself needs: the floor that no log can go below."""

import os
import threading
import time

from .common import percentile

BLOCK = 4096
FILE_BYTES = 16 << 20


def _samples(path, seconds):
    """Nanoseconds of appends of 512 bytes, each followed by fdatasync, to a file whose blocks are written already."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
        zeros = bytes(1 << 20)
        for offset in range(0, FILE_BYTES, len(zeros)):
            os.pwrite(descriptor, zeros, offset)
        os.fsync(descriptor)
        block, samples, offset = b"x" * 512, [], 0
        end = time.monotonic_ns() + int(seconds * 1e9)
        while True:
            begun = time.monotonic_ns()
            os.pwrite(descriptor, block, offset)
            os.fdatasync(descriptor)
            ended = time.monotonic_ns()
            samples.append(ended - begun)
            offset = (offset + len(block)) % FILE_BYTES
            if ended > end:
                return samples
    finally:
        os.close(descriptor)
        os.remove(path)


def fdatasync(directory, seconds=1.0, files=1):
    """p50 and p99, in microseconds, of one file's fdatasync while as many files in all are written at the same time."""
    results = [None] * files

    def measure(number):
        results[number] = _samples(os.path.join(directory, f"floor-{os.getpid()}-{number}"), seconds)

    threads = [threading.Thread(target=measure, args=(number,)) for number in range(files)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = sorted(value / 1000 for result in results for value in result)
    return {"p50": round(percentile(values, 0.5), 1), "p99": round(percentile(values, 0.99), 1)}
