"""What the addresses of the repository and the site do to a page, and that without them nothing asks for one.

A book of two pages is built with the options of the real one, once with made-up addresses and once with none.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import addresses
import pytest
import yaml
from bs4 import BeautifulSoup
from sphinx.errors import ConfigError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
REPOSITORY, SITE = "https://github.com/made-up/digits", "https://made-up.github.io/digits/"
NOWHERE = {"repository": "", "branch": "main", "site": ""}
SOMEWHERE = {"repository": REPOSITORY, "branch": "main", "site": SITE}
CHAPTER, FRONT, SEARCH = "notebooks/05_training.html", "index.html", "search.html"
ASKED = ("addresses", "light")  # light takes away what no page names, and an address may name more
OF_THE_BOOK = {"creativecommons.org"}  # where the licence is


def build(folder: Path, given: dict[str, str]) -> Path:
    """Build a book of two pages, and give the folder of its site."""
    config = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))
    others = {*config["sphinx"]["local_extensions"]} - {*ASKED} | {"sphinxcontrib.bibtex"}
    config["sphinx"]["local_extensions"] = {name: str(ROOT / "book" / "_ext") for name in ASKED}
    options = config["sphinx"]["config"]
    options["extensions"] = [name for name in options["extensions"] if name not in others]
    options = {name: value for name, value in options.items() if not name.startswith(("bibtex_", "moved_"))}
    config["sphinx"]["config"] = options | {"cracking_addresses": given}
    config["execute"]["execute_notebooks"] = "off"
    del config["bibtex_bibfiles"]
    for name in ("assets", "_templates"):
        shutil.copytree(ROOT / "book" / name, folder / name)
    (folder / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    toc = {"format": "jb-book", "root": "index", "chapters": [{"file": "notebooks/05_training"}]}
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (folder / "index.md").write_text("# Front page\n\nWhat it is about.\n", encoding="utf-8")
    (folder / "notebooks").mkdir()
    notebook = {
        "cells": [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": "# Training\n\nHow."}],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "notebooks" / "05_training.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    jupyter_book = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    finished = subprocess.run(
        [jupyter_book, "build", str(folder), "-W"], capture_output=True, text=True, errors="replace", check=False
    )
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-4000:]
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    return build(tmp_path_factory.mktemp("there"), SOMEWHERE)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory):
    return build(tmp_path_factory.mktemp("nowhere"), NOWHERE)


def page(site: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")


def outside(soup: BeautifulSoup) -> list[str]:
    """Give every address outside the site that a page names, in a link, a tag or a form."""
    values = [tag.get(name, "") for tag in soup.find_all() for name in ("href", "src", "action", "content")]
    return [value for value in values if value.startswith(("http:", "https:", "//"))]


@pytest.mark.parametrize("name", [FRONT, CHAPTER])
def test_a_page_names_its_own_address_and_the_card(there, name):
    soup = page(there, name)
    tags = {tag.get("property") or tag.get("name"): tag["content"] for tag in soup.select("meta[content]")}
    assert [link["href"] for link in soup.select("link[rel=canonical]")] == [SITE + name]
    assert tags["og:url"] == SITE + name
    assert tags["og:image"].startswith(SITE)
    assert (there / tags["og:image"].removeprefix(SITE)).is_file()
    assert tags["twitter:card"] == "summary_large_image"


@pytest.mark.parametrize("name", [FRONT, CHAPTER, SEARCH])
def test_every_file_that_a_page_loads_is_there(there, name):
    sources = [tag.get("src") or tag["href"] for tag in page(there, name).select("[src], link[href]")]
    loaded = [source.partition("?")[0] for source in sources if ":" not in source and source != "#"]
    assert len(loaded) > 5
    assert [source for source in loaded if not (there / name).parent.joinpath(source).exists()] == []
    assert "logo_colab.png" in " ".join(loaded) or name != CHAPTER


def test_the_sitemap_lists_the_pages_with_their_addresses(there):
    places = ElementTree.parse(there / "sitemap.xml").findall(".//{*}loc")
    assert [place.text for place in places] == [SITE + FRONT, SITE + CHAPTER]


def test_an_edit_link_leads_to_the_source_in_the_repository(there):
    chapter, front = (page(there, name).select_one("a.btn-source-edit-button") for name in (CHAPTER, FRONT))
    assert chapter["href"] == f"{REPOSITORY}/edit/main/notebooks/05_training.ipynb"
    assert front["href"] == f"{REPOSITORY}/edit/main/book/index.md"
    assert (ROOT / "notebooks" / "05_training.ipynb").is_file()
    assert (ROOT / "book" / "index.md").is_file()


def test_colab_opens_the_plain_notebook_of_a_chapter(there):
    colab = "https://colab.research.google.com/github/made-up/digits/blob/gh-pages/_sources/notebooks/05_training.ipynb"
    assert (there / "_sources" / "notebooks" / "05_training.ipynb").is_file()
    assert [value for value in outside(page(there, CHAPTER)) if "colab" in value] == [colab]
    assert not [value for value in outside(page(there, FRONT)) if "colab" in value]


@pytest.mark.parametrize("name", [FRONT, CHAPTER, SEARCH])
def test_a_mistake_can_be_reported_with_the_name_of_the_page(there, name):
    report = f"{REPOSITORY}/issues/new?title=A%20mistake%20in%20{name.removesuffix('.html')}"
    assert [link["href"] for link in page(there, name).find_all("a", string="Report a mistake on this page")] == [
        report
    ]


@pytest.mark.parametrize("name", [FRONT, CHAPTER, SEARCH])
def test_every_address_is_of_the_repository_or_the_site(there, name):
    for value in outside(page(there, name)):
        assert value.startswith(
            (f"{REPOSITORY}/", SITE, "https://colab.research.google.com/github/made-up/digits/")
        ) or (value.split("/")[2] in OF_THE_BOOK), value


@pytest.mark.parametrize("name", [FRONT, CHAPTER, SEARCH])
def test_without_addresses_a_page_has_nothing_that_needs_one(nowhere, name):
    soup = page(nowhere, name)
    assert {value.split("/")[2] for value in outside(soup)} <= OF_THE_BOOK
    assert not soup.select("link[rel=canonical], meta[property='og:url'], meta[property='og:image'], [href='']")
    for word in ("colab", "/edit/", "issues/new", "Report a mistake"):
        assert word not in str(soup)
    assert not (nowhere / "sitemap.xml").exists()


def test_pages_below_an_underscore_are_published(there, nowhere):
    assert (there / ".nojekyll").is_file()
    assert (nowhere / ".nojekyll").is_file()


@pytest.mark.parametrize(
    "wrong",
    [
        {"repository": "http://github.com/made-up/digits"},
        {"repository": "https://example.org/made-up/digits"},
        {"repository": "https://github.com/made-up"},
        {"repository": "https://github.com/made-up/digits/tree"},
        {"repository": ""},
        {"branch": ""},
        {"site": "http://made-up.github.io/digits/"},
        {"site": "made-up.github.io"},
        {"site": f"{SITE}?page=1"},
        {"site": None},
    ],
)
def test_what_is_no_address_stops_the_build_with_a_sentence(wrong):
    config = SimpleNamespace(cracking_addresses=SOMEWHERE | wrong)
    with pytest.raises(ConfigError, match=r"cracking_addresses in _config\.yml takes a repository like"):
        addresses.set_addresses(None, config)


@pytest.mark.parametrize("given", [{}, NOWHERE, {"repository": None, "site": None}])
def test_no_addresses_change_no_option(given):
    config = SimpleNamespace(cracking_addresses=given)
    addresses.set_addresses(None, config)
    assert vars(config) == {"cracking_addresses": given}


def test_addresses_are_the_same_without_the_last_slash_and_as_they_are_cloned():
    given = SOMEWHERE | {"site": SITE.rstrip("/"), "repository": f"{REPOSITORY}.git"}
    config = SimpleNamespace(cracking_addresses=given, html_context={}, html_theme_options={})
    addresses.set_addresses(None, config)
    assert config.html_baseurl == config.ogp_site_url == SITE
    assert config.html_context["repository"] == REPOSITORY
