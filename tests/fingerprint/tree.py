"""What lies below a directory, as {path: text}: kind, mode, owner, links, size, times of the last write and the
last change, extended attributes, target or content. The time of the last access is not among them: to read is
to access."""

import hashlib
import os
import stat

LARGEST_READ = 4 << 20


def content(path, status):
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(status.st_mode):
        return ""
    if status.st_size > LARGEST_READ:
        return "large"
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()[:16]
    except OSError as error:
        return type(error).__name__


def attributes(path):
    try:
        return [(n, os.getxattr(path, n, follow_symlinks=False)) for n in sorted(os.listxattr(path, follow_symlinks=False))]
    except OSError:
        return []


def describe(path):
    """One path in a line; 'none' when nothing is there."""
    try:
        status = os.lstat(path)
        return (f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid} links {status.st_nlink}"
                f" size {status.st_size} written {status.st_mtime_ns} changed {status.st_ctime_ns}"
                f" {attributes(path)} {content(path, status)}")
    except FileNotFoundError:
        return "none"


def look(name, top, leave_out=()):
    """{NAME/relative path: its line} of all below a directory, and of the directory; not what lies below the
    directories that are left out."""
    found = {f"{name}/.": describe(top)}
    for place, directories, files in os.walk(top):
        directories[:] = [d for d in directories if os.path.join(place, d) not in leave_out]
        for entry in directories + files:
            path = os.path.join(place, entry)
            found[f"{name}/{os.path.relpath(path, top)}"] = describe(path)
    return found
