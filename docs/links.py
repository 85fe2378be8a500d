"""Makes one set of links serve both readers: those of a checkout and those of the site that MkDocs builds.

Pages link to files of the repository by relative paths. On the site README.md is the first page, pages of docs/ are
pages, and every other file that is linked lies below repository/; a link to a file that does not exist is left as it
is, so that MkDocs reports it.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_files(files, config):
    files.append(File.generated(config, "index.md", content=(ROOT / "README.md").read_text()))
    waiting = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    while waiting:
        page = waiting.pop()
        for target in LINK.findall(page.read_text()):
            path = posixpath.normpath(posixpath.join(page.parent.relative_to(ROOT).as_posix(), target))
            if (ROOT / path).is_file() and files.get_file_from_path(site_path(path)) is None:
                files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
                waiting += [ROOT / path] * path.endswith(".md")
    return files


def on_page_markdown(markdown, page, config, files):
    home = repository_path(page.file.src_uri)

    def moved(match):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(home), match[1]))
        if not (ROOT / path).is_file():
            return match[1]
        return posixpath.relpath(site_path(path), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(moved, markdown)


def site_path(path: str) -> str:
    """Where a file of the repository is among the site's sources."""
    if path == "README.md":
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def repository_path(source: str) -> str:
    if source == "index.md":
        return "README.md"
    return source.removeprefix("repository/") if source.startswith("repository/") else f"docs/{source}"
