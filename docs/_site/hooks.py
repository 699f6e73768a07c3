"""Hooks of MkDocs: pages from files outside of `docs/`, so that the repository and the site have the same links.

A link of a page to `../examples/x.py`, `../notebooks/x.ipynb` or `../CONTRIBUTING.md` is right in the repository. On
the site, such files become pages: notebooks and Markdown as they are, other files as code. The reference has a page for
each public package, with every name that the package exports.
"""

from __future__ import annotations

import ast
import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).parents[2]
TOPS = ("multiroute_core", "langchain_multiroute", "llamaindex_multiroute")
MARKDOWN = {
    "README.md": "index.md",
    "benchmarks/README.md": "repository/benchmarks.md",
    "CONTRIBUTING.md": "repository/contributing.md",
    "SECURITY.md": "repository/security.md",
    "CHANGELOG.md": "repository/changelog.md",
}
"""Markdown outside of `docs/`, and its page; the README's is the start page."""
LINK = re.compile(r"(\]\()(?!https?://|#|mailto:)([^)#\s]+)((?:#[^)\s]*)?\))")
HTML_LINK = re.compile(r'href="(\.\./[^"#]+)((?:#[^"]*)?)"')
logger = logging.getLogger("mkdocs.hooks.links")  # below MkDocs' own, so that a warning fails a strict build


def on_config(config: Any) -> Any:
    """Fill the navigation of the reference."""
    for section in config.nav:
        if "Reference" in section:
            section["Reference"] = [{name: f"reference/{name}.md"} for name in public_packages()]
    return config


@event_priority(100)  # before mkdocs-jupyter, which makes pages of the notebooks that it sees
def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside of `docs/`."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        # Not `File.generated`: mkdocs-jupyter wraps the file and sees only its attributes.
        files.append(File(f"notebooks/{path.name}", str(ROOT), config.site_dir, config.use_directory_urls))
    for source, page in MARKDOWN.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for source in sorted(_linked_files(files)):
        text = (ROOT / source).read_text(encoding="utf-8")
        content = f"# {source}\n\n````{Path(source).suffix[1:]}\n{text}\n````\n"
        code = File.generated(config, _code_page(source), content=content)
        code.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(code)
    for name in public_packages():
        files.append(File.generated(config, f"reference/{name}.md", content=_reference(name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Turn links to files outside of `docs/` into links to their pages."""
    folder = _folder(page.file.src_uri)

    def rewrite(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        page_of_target = _page(target)
        if page_of_target is None:
            return match[0]
        link = posixpath.relpath(page_of_target, posixpath.dirname(page.file.src_uri) or ".")
        return f"{match[1]}{link}{match[3]}"

    return LINK.sub(rewrite, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:  # noqa: ARG001
    """Do the same in a notebook, which mkdocs-jupyter turns into HTML itself."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html

    def rewrite(match: re.Match[str]) -> str:
        target = _page(posixpath.normpath(posixpath.join(_folder(page.file.src_uri), match[1])))
        file = files.get_file_from_path(target) if target else None
        if file is None:
            logger.warning("%s links to %s, which has no page", page.file.src_uri, match[1])
            return match[0]
        return f'href="{file.url_relative_to(page.file)}{match[2]}"'

    return HTML_LINK.sub(rewrite, html)


def on_post_build(config: Any) -> None:
    """Fail if a notebook has become no page: MkDocs copies files that no plugin knows, without a warning."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not Path(config.site_dir, "notebooks", f"{path.stem}.html").exists():
            raise PluginError(f"notebooks/{path.name} has no page.")


def public_packages() -> list[str]:
    """The packages that export names, by dotted name."""
    names = [
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in TOPS
        for path in sorted((ROOT / top).rglob("__init__.py"))
        if exports(path)
    ]
    return sorted(names, key=lambda name: (TOPS.index(name.partition(".")[0]), name))


def exports(path: Path) -> list[str]:
    """The names in the `__all__` of a file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [name for name in ast.literal_eval(node.value) if not name.startswith("_")]
    return []


def _reference(package: str) -> str:
    """The page of a package: what it says of itself, and each name."""
    path = ROOT.joinpath(*package.split("."), "__init__.py")
    about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    names = "\n\n".join(f"::: {package}.{name}" for name in sorted(exports(path), key=str.lower))
    return f"# {package}\n\n{about}\n\n{names}\n"


def _page(target: str) -> str | None:
    """The page of a file, by its path from `docs/`; None: there is no such file."""
    source = posixpath.normpath(posixpath.join("docs", target))
    if source in MARKDOWN:
        return MARKDOWN[source]
    if source.startswith("docs/"):
        return source.removeprefix("docs/")
    if source.startswith("notebooks/") and source.endswith(".ipynb"):
        return source
    if (ROOT / source).is_file():
        return _code_page(source)
    return None


def _code_page(source: str) -> str:
    return f"repository/{source.replace('/', '_')}.md"


def _folder(page: str) -> str:
    """The folder of a page's source, from `docs/`."""
    for source, target in MARKDOWN.items():
        if target == page and page != "index.md":
            return posixpath.join("..", posixpath.dirname(source))
    if page.startswith("notebooks/"):
        return "../notebooks"
    return posixpath.dirname(page)


def _linked_files(files: Files) -> set[str]:
    """Files that are neither Markdown nor notebooks, to which a page links."""
    sources: set[str] = set()
    for file in files.documentation_pages():
        if not file.src_uri.endswith(".md") or file.src_uri.startswith("reference/"):
            continue
        folder = _folder(file.src_uri)
        for _, link, _ in LINK.findall(file.content_string):
            source = posixpath.normpath(posixpath.join("docs", folder, link))
            if (ROOT / source).is_file() and Path(source).suffix not in (".md", ".ipynb", ".png", ".svg"):
                sources.add(source)
    return sources
