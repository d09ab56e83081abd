"""A disk that keeps no more than it promised: what a power cut may leave of recorded events.

It promises that what was written to a file before an fsync of it is kept, and that names in a
directory are kept by an fsync of the directory, not of the file. Of everything later each change
may be kept or not, whatever its order; a write may be torn between sectors, and a name may be
kept without the content.
"""

from crash.recording import Create, Rename, Send, Sync, Truncate, Unlink, Write

SECTOR = 512

OUTCOMES = {"dropped": 0, "scattered": 0.5, "torn": 0.5, "mostly kept": 0.95, "kept": 1}
"""How likely each change is kept that was not synced, by the kind of power cut."""

MAPPED = "-shm"
"""A file with this ending is written through memory, unrecorded: afterwards it holds anything."""


class File:
    def __init__(self):
        self.content = bytearray()
        self.pending = []

    def sync(self, began):
        for number, change in self.pending:
            if number < began:
                make(change, self.content)
        self.pending = [later for later in self.pending if later[0] >= began]

    def after(self, keeps, *, torn):
        parts = [
            part
            for _, change in self.pending
            for part in (sectors(change) if torn else [change])
            if keeps()
        ]
        content = bytearray(self.content) if parts else self.content
        for part in parts:
            make(part, content)
        return content


def make(change, content):
    """Carry out a write or a truncation."""
    size = change.size if isinstance(change, Truncate) else change.offset + len(change.data)
    content.extend(bytes(max(0, size - len(content))))
    if isinstance(change, Truncate):
        del content[size:]
    else:
        content[change.offset : size] = change.data


def sectors(change):
    """Return the parts of a change that a disk makes wholly or not at all."""
    if isinstance(change, Truncate):
        return [change]
    start, end = change.offset, change.offset + len(change.data)
    cuts = [start, *range(start // SECTOR * SECTOR + SECTOR, end, SECTOR), end]
    return [
        Write(change.path, a, change.data[a - start : b - start])
        for a, b in zip(cuts, cuts[1:], strict=False)
    ]


class Disk:
    """What is in files and directories, and which of it is durable.

    A directory is the name of no file: None. `root`, of which all is recorded, is durable.
    """

    def __init__(self, root):
        self.root = root
        self.names = {root: None}
        self.durable_names = {root: None}
        self.pending_names = []

    def apply(self, number, event):
        """Let event `number` happen."""
        match event:
            case Write(path) | Truncate(path):
                self.names[path].pending.append((number, event))
            case Sync(path, began) if self.names[path] is None:
                self._sync_names(path, began)
            case Sync(path, began):
                self.names[path].sync(began)
            case Create(path, is_directory):
                self._rename(number, {path: None if is_directory else File()}, ())
            case Rename(path, to):
                self._rename(number, {to: self.names[path]}, (path,))
            case Unlink(path):
                self._rename(number, {}, (path,))
            case Send():
                pass

    def _rename(self, number, new, gone):
        change = new, gone
        rename(self.names, change)
        self.pending_names.append((number, change))

    def _sync_names(self, directory, began):
        later = []
        for number, (new, gone) in self.pending_names:
            if number < began and all(
                path.rpartition("/")[0] == directory for path in (*new, *gone)
            ):
                rename(self.durable_names, (new, gone))
            else:
                later.append((number, (new, gone)))
        self.pending_names = later

    def after_power_cut(self, outcome, rng):
        """Return what is there after a power cut, as a dict of content by path."""

        def keeps():
            return rng.random() < OUTCOMES[outcome]

        names = dict(self.durable_names)
        for _, change in self.pending_names:
            if keeps():
                rename(names, change)
        files = {
            path: file.after(keeps, torn=outcome == "torn")
            for path, file in names.items()
            if file is not None and self._is_reachable(path, names)
        }
        mapped = {path for path in files if path.endswith(MAPPED)}
        return files | {path: rng.randbytes(len(files[path])) for path in mapped}

    def _is_reachable(self, path, names):
        above = path.rpartition("/")[0]
        return path == self.root or (path in names and self._is_reachable(above, names))


def rename(names, change):
    new, gone = change
    for path in gone:
        names.pop(path, None)
    names.update(new)
