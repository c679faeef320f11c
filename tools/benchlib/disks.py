"""A file system of its own for each member, so that one member's disk can hang and the others' do not."""

import contextlib
import fcntl
import os
import subprocess

from .common import Failure, run

FREEZE, THAW = 0xC0045877, 0xC0045878
SIZE_BYTES = 512 << 20


class MemberDisks:
    """Files with ext4, mounted where the members keep their data. Needs root and loop devices."""

    def __init__(self, directory, names):
        self.points = [os.path.join(directory, name) for name in names]
        self.mounted = []
        for point in self.points:
            image = point + ".ext4"
            os.makedirs(point)
            with open(image, "wb") as file:
                file.truncate(SIZE_BYTES)
            run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image])
            try:
                run(["mount", "-o", "loop", image, point])
            except Failure as failure:
                self.close()
                raise Failure(f"a disk that hangs needs loop devices and root: {failure}") from None
            self.mounted.append(point)

    @contextlib.contextmanager
    def frozen(self, member):
        """The member's file system takes no writes: who writes waits."""
        descriptor = os.open(self.points[member], os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(descriptor, FREEZE, 0)
            try:
                yield
            finally:
                fcntl.ioctl(descriptor, THAW, 0)
        finally:
            os.close(descriptor)

    def close(self):
        for point in self.mounted:
            subprocess.run(["umount", point], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.mounted = []
