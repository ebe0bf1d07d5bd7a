"""Both pages in Chromium: wide and narrow, light and dark, with the keyboard alone."""

import shutil

import pytest

from keras_patchpu.reporting.comparison_report import render_comparison_report
from keras_patchpu.reporting.run_report import render_run_report

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on the PATH"),
]
LONG = "a_label_with_a_name_that_is_longer_than_any_phone_is_wide_and_has_no_blank_in_it"
MAPS = {("patch", "bce"): [60.0, 62.0], ("patch", "wn"): [50.0, None], ("resnet50", "an"): [40.0]}

# What reaches beyond the page at its right, other than in a box of its own.
BEYOND = """() => [...document.querySelectorAll('main *, header *')].filter(e =>
    !e.closest('.scroll') && !e.closest('svg') && !e.closest('.skip')
    && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1
  ).map(e => e.tagName + ' ' + e.className)"""
# The contrast of a text with what is behind it, by WCAG 2.
CONTRAST = """() => {
  const light = c => { const v = c.match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
      .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2]; };
  const behind = e => { for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c !== 'rgba(0, 0, 0, 0)' && !c.includes('color(')) return c; }
    return getComputedStyle(document.body).backgroundColor; };
  const low = new Set();
  for (const e of document.querySelectorAll('h1, h2, h3, p, a, dt, dd, th, figcaption, li, text')) {
    if (e.closest('.skip')) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(e.tagName === 'text' ? style.fill : style.color), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5 && style.fill !== 'rgb(255, 255, 255)') low.add(
        `${e.tagName} ${e.className} ${ratio.toFixed(1)}`);
  }
  return [...low];
}"""


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven by Playwright."""
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["run", "run without truth", "comparison"])
def report(request, make_facts, make_comparison, tmp_path_factory):
    """A file with a page in it."""
    names = ["cat", "dog", LONG, "<script>alert(1)</script>", "größe & 日本", "x"]
    if request.param == "comparison":
        text = render_comparison_report(make_comparison(MAPS, names=names))
    else:
        facts = make_facts(names=names, truth_known=request.param == "run", data=LONG)
        text = render_run_report(facts, "3 May 2027")
    file = tmp_path_factory.mktemp("pages") / "report.html"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def open_page(browser, report):
    """Opens the report; afterwards checks that the browser had nothing to say."""
    contexts, said = [], []

    def open_it(width, scheme):
        size = {"width": width, "height": 800}
        context = browser.new_context(viewport=size, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
        page.on(
            "request",
            lambda request: request.url.startswith(("file:", "data:")) or said.append(request.url),
        )
        page.goto(report.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read(open_page, width, scheme):
    page = open_page(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(BEYOND) == []
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate(CONTRAST) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    # No text of a chart is smaller than can be read.
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('svg.chart text')].map(
            e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a)"""
    )
    assert min(map(abs, (size for size in sizes if size))) >= 7


def test_the_keyboard_is_enough(open_page):
    """Tab reaches the links and the boxes that scroll, in the order of the page."""
    page = open_page(1280, "light")
    expected = page.evaluate("[...document.querySelectorAll('a, .scroll, summary')].length")
    reached, places = [], []
    for _ in range(expected):
        page.keyboard.press("Tab")
        name, top, outline = page.evaluate(
            """() => { const e = document.activeElement; return [
                 e.className || e.getAttribute('href') || e.tagName,
                 e.getBoundingClientRect().top + scrollY, getComputedStyle(e).outlineStyle]; }"""
        )
        reached.append(name)
        places.append(top)
        assert outline != "none", name
    assert reached[0] == "skip" and reached[1].startswith("#")
    assert len(reached) == expected and "BODY" not in reached and "scroll" in reached
    assert places == sorted(places)


def test_a_script_that_got_in_is_not_run(browser, report):
    """Names are escaped; this is a second lock, and without it the script does run."""
    evil = "<script>document.title = 'evil'</script>"
    locked = report.read_text(encoding="utf-8").replace("</main>", f"{evil}</main>")
    open_to_all = locked.replace("Content-Security-Policy", "Other")
    file = report.with_name("evil.html")
    for text, is_run in ((open_to_all, True), (locked, False)):
        file.write_text(text, encoding="utf-8")
        page = browser.new_page()
        page.goto(file.as_uri())
        assert (page.title() == "evil") == is_run
        page.close()


def test_a_link_of_the_contents_leads_to_its_section(open_page):
    page = open_page(360, "light")
    page.emulate_media(reduced_motion="reduce")
    page.locator("nav a").last.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("scrollY") > 500
    name = page.evaluate("location.hash.slice(1)")
    assert page.locator(f"section#{name} h2").is_visible()


def test_charts_have_names_for_screen_readers(open_page):
    page = open_page(1280, "light")
    charts = page.get_by_role("img").all()
    assert len(charts) == page.evaluate("document.querySelectorAll('svg.chart, img').length")
    names = page.evaluate("[...document.querySelectorAll('svg.chart')].map(e => e.ariaLabel)")
    assert all(names) and len(set(names)) == len(names)
