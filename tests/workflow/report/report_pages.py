"""A report's pages read back: what they link to, load and say."""

from html.parser import HTMLParser

from tests.workflow.report.reporting_tree import fake_results
from workflow.results.read import Results, design


def results_of(config, frame=None):
    """Results with values alone: the numbers of `fake_results` where none are given."""
    values = fake_results(config) if frame is None else frame
    return Results(values, {}, design(config))


class Page(HTMLParser):
    """What a page links to, loads, names, and whether it is well formed."""

    VOID = frozenset({"meta", "link", "img", "br", "input", "line", "circle", "path"})

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids, self.tags, self.images = [], [], [], [], []
        self.open, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.text += " "
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if tag in ("img", "script", "link", "iframe", "source"):
            self.loads.append(attributes.get("src") or attributes.get("href"))
        if tag == "img":
            self.images.append(attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_pages(folder):
    return {
        path.relative_to(folder).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in folder.rglob("*.html")
    }


def words(page):
    return " ".join(page.text.split())
