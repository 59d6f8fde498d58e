"""The addresses of the repository and of the published site, and all that depends on them.

`cracking_addresses` in `_config.yml` holds both. As long as they are empty, no page has a link or a tag that needs one.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape

from sphinx.errors import ConfigError

REPOSITORY = re.compile(r"(https://github\.com)/([\w-]+)/([\w.-]+?)(?:\.git)?/?")
SITE = re.compile(r"https://[\w.-]+(:\d+)?(/[\w./~-]*)?")
RELATIVE = re.compile(r'<meta property="og:url" content="[^"]*" />\n')


def set_addresses(app, config) -> None:
    """Tell Sphinx, the theme and sphinxext-opengraph the addresses, each in its own words.

    Raises
    ------
    ConfigError
        If an address cannot be one, or one of the two is missing.
    """
    repository, branch, site = (config.cracking_addresses.get(name) or "" for name in ("repository", "branch", "site"))
    if not repository and not site:
        return
    parts = REPOSITORY.fullmatch(repository)
    if not parts or not branch or not SITE.fullmatch(site):
        raise ConfigError(
            "cracking_addresses in _config.yml takes a repository like https://github.com/owner/name, its branch, and "
            f"a site like https://owner.github.io/name/, or no address at all; it has {repository!r}, {branch!r} and "
            f"{site!r}."
        )
    host, owner, name = parts.groups()
    site = site.rstrip("/") + "/"
    config.html_baseurl = config.ogp_site_url = site
    config.ogp_image = f"{site}_static/front-page.png"
    config.ogp_custom_meta_tags = ['<meta name="twitter:card" content="summary_large_image" />']
    # The chapters lie beside `book/`, where the build puts no more than a link to them.
    source = "{{ '' if file_name.startswith('notebooks/') else 'book/' }}{{ file_name }}"
    config.html_context |= {
        "repository": f"{host}/{owner}/{name}",
        "edit_page_provider_name": "GitHub",
        "edit_page_url_template": f"{host}/{owner}/{name}/edit/{branch}/{source}",
        # These three are for Colab, as are `repository_branch` and `path_to_docs`: it opens the plain notebook that the
        # site holds. The theme's own option, `repository_url`, would take the edit links there too.
        "github_url": host,
        "github_user": owner,
        "github_repo": name,
    }
    config.html_theme_options |= {
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
        "repository_branch": "gh-pages",  # which .github/workflows/publish.yml writes
        "path_to_docs": "_sources",
        "use_edit_page_button": True,
    }


def drop_relative_address(app, pagename, templatename, context, doctree) -> None:
    """Take away the page's address for social networks, which is none without the site's."""
    if doctree and not app.config.html_baseurl:
        context["metatags"] = RELATIVE.sub("", context["metatags"])


def write_sitemap(app, exception) -> None:
    """List all pages for search engines; sphinx-sitemap lists those that the build has written anew."""
    site, path = app.config.html_baseurl, Path(app.outdir) / "sitemap.xml"
    path.unlink(missing_ok=True)
    if exception or app.builder.format != "html" or not site:
        return
    names = sorted(app.env.found_docs)
    places = [f"<url><loc>{escape(site + app.builder.get_target_uri(page))}</loc></url>" for page in names]
    lines = ['<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">', *places, "</urlset>"]
    path.write_text("\n".join(lines), encoding="utf-8")


def setup(app):
    app.add_config_value("cracking_addresses", {"repository": "", "branch": "main", "site": ""}, "html", [dict])
    # GitHub Pages leaves out folders that begin with an underscore, unless a file `.nojekyll` is there.
    app.setup_extension("sphinx.ext.githubpages")
    app.connect("config-inited", set_addresses)
    app.connect("html-page-context", drop_relative_address, priority=600)  # after sphinxext-opengraph
    app.connect("build-finished", write_sitemap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
