"""What is in a folder or a tar archive: the paths of its folders, and its files.

Hidden folders and files are left out, and links are followed.
"""

import posixpath
import tarfile
import zipfile

from training.errors import InputError

HIDDEN = ("__MACOSX", "@eaDir", "lost+found")  # what systems put beside pictures; other such names begin with a dot


def of_folder(folder):
    """(paths of the folders below `folder`, {path of a file: its full Path}), sorted, with / between parts.

    A link to nothing is a file with None for its Path.
    """
    folders, files = [], {}
    for path in below(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            folders.append(name)
        elif path.is_file():
            files[name] = path
        elif not path.exists():
            files[name] = None
    return folders, files


def below(folder, around=()):
    """Every path below `folder` that is not hidden, also in linked folders, except in one that is `around` itself."""
    here = folder.resolve()
    if here in around:
        return
    try:
        paths = sorted(path for path in folder.iterdir() if not is_hidden(path.name))
    except OSError as error:
        raise InputError(f"{folder} cannot be listed: {error.strerror}.") from error
    for path in paths:
        yield path
        if path.is_dir():
            yield from below(path, (*around, here))


def is_hidden(path):
    return any(part.startswith(".") or part in HIDDEN for part in path.split("/"))


def of_archive(path):
    """The same of a tar archive, compressed or not; files as bytes, for a compressed archive is read front to back."""
    folders, files, links = set(), {}, {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = normal(member.name)
                folders.update(parents(name))
                if member.isdir():
                    folders.add(name)
                elif member.isfile():
                    files[name] = archive.extractfile(member).read()
                elif member.issym():
                    links[name] = normal(posixpath.join(posixpath.dirname(member.name), member.linkname))
                elif member.islnk():
                    links[name] = normal(member.linkname)
    except (tarfile.TarError, EOFError, OSError) as error:
        if zipfile.is_zipfile(path):
            raise InputError(f"{path} is a zip archive; unpack it and give the folder.") from error
        reason = str(error).split("\n")[0].rstrip(":")
        raise InputError(
            f"{path} is no folder and no whole tar archive ({reason}); expected pictures in one folder a class."
        ) from error
    follow(links, folders, files)
    seen = sorted(path for path in folders if not is_hidden(path))
    return seen, {path: files[path] for path in sorted(files) if not is_hidden(path)}


def normal(name):
    """A member's path below the archive's top, where absolute names start too."""
    return posixpath.normpath(name).lstrip("/")


def parents(path):
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def follow(links, folders, files):
    """Adds to the listing what is behind `links`, {path: path it leads to}; None where that is not in the archive."""
    ends = {path: end_of(path, links) for path in links}
    for path, target in sorted(ends.items(), key=lambda link: link[1] in folders):  # a linked folder has links in it
        inside = f"{target}/"
        if target in folders and not path.startswith(inside):
            folders |= {path} | {path + each.removeprefix(target) for each in folders if each.startswith(inside)}
            files |= {path + each.removeprefix(target): files[each] for each in files if each.startswith(inside)}
        else:
            files[path] = files.get(target)


def end_of(path, links):
    """Where the link `path` leads over other links; one in a circle leads to itself."""
    seen = set()
    while path in links and path not in seen:
        seen.add(path)
        path = links[path]
    return path


def without_wrapper(folders, files):
    """The listing with a lone outer folder taken off every path, as archives often have one."""
    tops = {path.split("/")[0] for path in [*folders, *files]}
    inner = [path for path in folders if "/" in path]
    if len(tops) != 1 or not inner:
        return folders, files
    return without_wrapper(
        [path.split("/", 1)[1] for path in inner],
        {path.split("/", 1)[1]: content for path, content in files.items() if "/" in path},
    )
