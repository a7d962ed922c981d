"""Hooks of mkdocs: generated pages, formulas and nested lists."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts import site_markdown, site_notebooks, site_pages, site_text

PAGES = Path(__file__).parent / "site"  # pages that link to generated ones


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    fences = config.mdx_configs.setdefault("pymdownx.superfences", {})
    fences["custom_fences"] = [
        {"name": "math", "class": "formula", "format": site_markdown.math},
    ]
    for part in config.nav or []:
        if "Models" in part:
            part["Models"] += site_pages.model_nav()
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for file in sorted(path for path in PAGES.rglob("*") if path.is_file()):
        place = file.relative_to(PAGES).as_posix()
        files.append(File(place, str(PAGES), config.site_dir, config.use_directory_urls))
    for place, text in site_pages.pages().items():
        files.append(File.generated(config, place, content=text))
    for place, text in site_notebooks.pages().items():
        files.append(File.generated(config, place, content=text))
    for place, drawn in (site_pages.graphs() | site_notebooks.files()).items():
        files.append(File.generated(config, place, content=drawn))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return site_text.mended(markdown)
