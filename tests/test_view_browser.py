"""view, as its user sees it, in a browser without a window: open, search, type, watch."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import caffelite
from caffelite.proto import caffe_pb2
from caffelite.view.net_file import NetFile
from caffelite.view.page_data import PageData
from caffelite.view.runs import Runs
from caffelite.view.server import Server
from caffelite.view.weights import Weights

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the extra [test]")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and its driver: apt install chromium-driver"
)

GOLDEN = Path(__file__).parent / "golden" / "parse_log" / "run.log"
HOSTILE = "<img src=x onerror=document.title='owned'>"
NET = f"""name: "{HOSTILE}"
layer {{ name: "data" type: "Input" top: "data"
        input_param {{ shape {{ dim: 2 dim: 3 dim: 12 dim: 9 }} }} }}
layer {{
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  convolution_param {{
    num_output: 4
    kernel_size: 3
    weight_filler {{ type: "xavier" }}
  }}
}}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "{HOSTILE}" type: "Softmax" bottom: "conv1" top: "{HOSTILE}" }}
"""


def block(k):
    bottom = f"block{k - 1}" if k else "data"
    return f"""
layer {{ name: "block{k}/a" type: "AbsVal" bottom: "{bottom}" top: "block{k}/a" }}
layer {{ name: "block{k}/b" type: "TanH" bottom: "block{k}/a" top: "block{k}/b" }}
layer {{ name: "block{k}" type: "Eltwise" bottom: "{bottom}" bottom: "block{k}/b" top: "block{k}" }}
"""


DEEP = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 7 } } }'
    + "".join(map(block, range(30)))
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "window-size=1280,943",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{flag}")  # fmt: skip
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Page:
    """The page, in words of its user."""

    def __init__(self, browser, url):
        self.browser = browser
        browser.get(url)
        alone = "return document.body.classList.contains('runs-only')"
        self.wait(
            "the page is ready",
            lambda: self.text("#findings-title") != "Findings" or self.js(alone),
        )

    def wait(self, what, holds, seconds=60):
        """What `holds` returns, as soon as it is true."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, f"in vain: {what}\n{self.findings()}"
            time.sleep(0.05)
        return found

    def js(self, code, *given):
        return self.browser.execute_script(code, *given)

    def text(self, place):
        return self.js("return document.querySelector(arguments[0]).textContent", place)

    def shown(self, place):
        return self.browser.find_element(By.CSS_SELECTOR, place).is_displayed()

    def row(self, name):
        """What the graph says of a layer, or None if it shows no such."""
        return self.js(
            "return [...document.querySelectorAll('.row')].map(row => row.ariaLabel)"
            ".find(words => words.startsWith(arguments[0] + ' ')) ?? null",
            name,
        )

    def findings(self):
        return self.text("#findings-list")

    def line(self, words):
        """The editor's line that holds the words."""
        return self.js(
            "return [...document.querySelector('#editor').shadowRoot.querySelectorAll('.cm-line')]"
            ".find(line => line.textContent.includes(arguments[0]))",
            words,
        )

    def type_at_end(self, words, *keys):
        self.line(words).click()
        self.keys(Keys.END, *keys)

    def keys(self, *keys):
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def search(self, words):
        self.keys("/")
        self.keys(words, Keys.ENTER)

    def size(self, width, height):
        """Give the page this many pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def area(self, place):
        """(left, top, right, bottom) of an element on the screen."""
        found = "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
        return self.js(found + "return [r.left, r.top, r.right, r.bottom]", place)

    def within(self, place, outer):
        """Whether all of one element is seen in another."""
        inner, outer = self.area(place), self.area(outer)
        return all(a >= b for a, b in zip(inner[:2], outer[:2], strict=True)) and all(
            a <= b for a, b in zip(inner[2:], outer[2:], strict=True)
        )

    def selected(self):
        return self.js("return document.querySelector('.row.selected')?.ariaLabel")


@pytest.fixture
def quiet(browser):
    """Fails a test after which the browser's console holds errors, such as broken policies."""
    browser.get_log("browser")
    yield
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    said = [entry["message"] for entry in browser.get_log("browser")]
    browser.get("about:blank")
    assert not [words for words in said if "409 (Conflict)" not in words]


@pytest.fixture
def view(browser, quiet, tmp_path):
    """view(text, ...) opens the page of a net; further options are those of PageData."""
    with contextlib.ExitStack() as stack:

        def start(text, **options):
            path = tmp_path / "net.prototxt"
            if text is not None:
                path.write_text(text)
            file = NetFile(str(path)) if text is not None else None
            state = caffe_pb2.NetState(phase=caffe_pb2.TEST)
            server = stack.enter_context(Server(PageData(file, state, **options)))
            thread = threading.Thread(target=server.serve_forever, args=[0.01])
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return Page(browser, server.url)

        yield start


def point(iteration, loss):
    facts = {"event": "train", "iteration": iteration, "loss": loss, "lr": 0.1, "outputs": {}}
    return json.dumps(facts) + "\n"


@contextlib.contextmanager
def command(folder, *words):
    """The address that a `caffelite view` process prints, while it runs."""
    command = [sys.executable, "-m", "caffelite", "view", *words, "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert code == 130


def test_search_edit_lint_and_watch(browser, quiet, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    with command(tmp_path, "net.prototxt", "--run", "log.jsonl") as url:
        look_around(Page(browser, url), tmp_path / "log.jsonl")
        browser.get("about:blank")  # before nobody answers the page


def look_around(page, log):
    assert "→ 2×4×10×7" in page.row("relu1")
    assert "waiting for the file" in page.wait("the run's state", lambda: page.text("#run-state"))

    page.search("conv")
    page.wait("the layer found is selected", lambda: (page.selected() or "").startswith("conv1 "))
    assert "2×4×10×7" in page.text("#layer") and "kernel_size: 3" in page.text("#layer")

    page.type_at_end("kernel_size: 3", Keys.BACKSPACE, "5")
    page.wait("the shape changes", lambda: "→ 2×4×8×5" in page.row("relu1"))
    page.wait("in the panel, too", lambda: "2×4×8×5" in page.text("#layer"))
    assert "expected a larger one" not in page.findings()

    page.type_at_end("kernel_size: 5", "0")
    page.wait("a finding", lambda: "expected a larger one" in page.findings())
    assert "conv1" in page.findings() and "has a mistake" in page.row("conv1")
    page.type_at_end("kernel_size: 50", Keys.BACKSPACE)
    page.wait("it goes", lambda: "expected a larger one" not in page.findings())

    log.write_text(point(0, 2.5) + point(100, 1.5))
    page.wait("a curve", lambda: "iteration 100 · train loss 1.5" in page.text("#run-state"))
    assert "train loss" in page.text("#curves .u-legend")
    picture = "return document.querySelector('#curves canvas').toDataURL()"
    page.wait("it is drawn", lambda: len(page.js(picture)) > 2000)
    before = page.js(picture)
    with log.open("a") as file:
        file.write(point(200, 0.5) + point(300, 0.25)[:20])
    page.wait(
        "the curve grows", lambda: "iteration 200 · train loss 0.5" in page.text("#run-state")
    )
    page.wait("on the picture, too", lambda: page.js(picture) != before)


def test_names_are_shown_as_text(view):
    page = view(NET)
    assert page.text("#name") == HOSTILE
    page.search("onerror")
    page.wait("the panel", lambda: HOSTILE in page.text("#layer"))
    assert page.js("return document.querySelectorAll('img').length") == 0
    assert page.browser.title.startswith(HOSTILE)


def test_a_mistake_in_the_text_leaves_the_graph_until_it_is_mended(view):
    page = view(NET)
    page.type_at_end("kernel_size: 3", " }")
    page.wait("the mistake", lambda: page.shown("#stale") and "one too many" in page.findings())
    assert page.row("conv1")
    page.keys(Keys.BACKSPACE, Keys.BACKSPACE)
    page.wait("no mistake", lambda: not page.shown("#stale"))


def test_a_file_with_a_mistake_opens_for_mending(view):
    page = view(NET.replace("kernel_size: 3", "kernel_size: three"))
    assert "three" in page.findings() and not page.row("data")
    page.type_at_end("kernel_size: three", *[Keys.BACKSPACE] * 5, "3")
    page.wait("the graph", lambda: page.row("data"))


def test_an_empty_net_can_be_filled(view):
    page = view('name: "empty"')
    page.type_at_end("empty", Keys.ENTER, 'layer {name: "data" type: "AbsVal"')
    page.wait("the layer", lambda: page.row("data"))


def test_saving_asks_for_the_file_as_it_was(view, tmp_path):
    page = view(NET)
    path = tmp_path / "net.prototxt"
    assert not page.browser.find_element(By.ID, "save").is_enabled()
    page.type_at_end("num_output: 4", "8")
    assert path.read_text() == NET
    keys = webdriver.ActionChains(page.browser)
    keys.key_down(Keys.CONTROL).send_keys("s").key_up(Keys.CONTROL).perform()
    page.wait("saved", lambda: page.text("#file-state") == "saved")
    assert path.read_text() == NET.replace("num_output: 4", "num_output: 48")

    path.write_text(NET.replace("num_output: 4", "num_output: 9"))
    page.type_at_end("num_output: 48", "0")
    page.browser.find_element(By.ID, "save").click()
    page.wait("refused", lambda: "changed on disk" in page.text("#file-state"))
    assert "num_output: 9" in path.read_text()
    page.browser.find_element(By.ID, "reload").click()
    page.wait("read anew", lambda: page.line("num_output: 9"))


def test_repeats_are_folded_and_search_unfolds_them(view):
    page = view(DEEP)
    assert page.row("30 × the same block") and not page.row("block7/b")
    page.js("document.querySelector('#graph > svg').focus()")
    page.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    page.wait("the fold is selected", lambda: (page.selected() or "").startswith("30 × "))
    page.keys(Keys.ENTER)
    page.wait("and unfolds", lambda: page.row("block7/b"))
    page.keys("f")
    page.wait("folds again", lambda: not page.row("block7/b"))
    page.keys(Keys.ENTER)
    page.wait("and unfolds", lambda: page.row("block7/b"))
    page.browser.find_element(By.ID, "fold").click()
    page.wait("folded", lambda: page.row("30 × the same block") and not page.row("block7/b"))
    page.search("block7/b")
    page.wait("unfolded", lambda: (page.selected() or "").startswith("block7/b "))
    page.browser.find_element(By.ID, "fold").click()
    page.wait("folded again", lambda: page.row("30 × the same block") and not page.row("block7/b"))


SCOPES = NET + "".join(
    f"""
layer {{ name: "unit{k}/a" type: "AbsVal" bottom: "{bottom}" top: "x{k}" }}
layer {{ name: "unit{k}/in/b" type: "TanH" bottom: "x{k}" top: "y{k}" }}
layer {{ name: "unit{k}/in/c" type: "AbsVal" bottom: "y{k}" top: "z{k}" }}
layer {{ name: "unit{k}/in/d" type: "TanH" bottom: "z{k}" top: "unit{k}/c" }}
"""
    for k, bottom in enumerate(["conv1", "unit0/c"])
)


def test_scopes_are_folded_one_in_another(view):
    page = view(SCOPES)
    button = page.browser.find_element(By.ID, "fold-scopes")
    assert page.row("unit1/a") and not page.shown("#fold")
    button.click()
    page.wait("folded", lambda: page.row("unit0/") and not page.row("unit1/a"))
    assert "2 AbsVal, 2 TanH" in page.row("unit1/") and "4 layers" in page.row("unit1/")
    page.search("unit1/in/c")
    page.wait("unfolded", lambda: (page.selected() or "").startswith("unit1/in/c "))
    assert page.row("unit0/")
    outlines = "return [...document.querySelectorAll('.outline')].map(one => one.ariaLabel)"
    assert page.js(outlines) == ["unit1/: fold", "unit1/in/: fold"]
    button.click()
    page.wait("folded again", lambda: page.row("unit1/") and not page.row("unit1/a"))
    button.click()
    page.wait("all unfolded", lambda: page.row("unit0/a") and page.row("unit1/in/c"))


def test_the_map_shows_what_is_seen_and_goes_there(view):
    page = view(NET)
    assert not page.shown("#minimap")
    page.js("document.querySelector('#graph > svg').focus()")
    page.keys(*"++++++")
    page.wait("the map", lambda: page.shown("#minimap"))
    frame = "return document.querySelector('#minimap .seen').getAttribute('y')"
    before = float(page.js(frame))
    minimap = page.browser.find_element(By.ID, "minimap")
    mouse = webdriver.ActionChains(page.browser)
    mouse.move_to_element_with_offset(minimap, 0, minimap.size["height"] // 2 - 3).click().perform()
    page.wait("further down", lambda: float(page.js(frame)) > before)
    page.browser.find_element(By.ID, "map").click()
    assert not page.shown("#minimap")
    page.js("sessionStorage.clear()")


def test_nets_lie_down_where_that_is_chosen(view):
    page = view(NET)
    place = "const r = document.querySelector('[data-id=\"conv1#1\"] .frame')"
    place += ".getBoundingClientRect(); return [r.left, r.top]"
    below = page.js(place)
    data = page.js(place.replace("conv1#1", "data#1"))
    assert below[1] > data[1]
    page.browser.find_element(By.CSS_SELECTOR, "[data-direction=LR]").click()
    page.wait(
        "beside", lambda: page.js(place)[0] > page.js(place.replace("conv1#1", "data#1"))[0] + 80
    )
    page.browser.refresh()
    page.wait("the page again", lambda: page.row("data"))
    assert page.js(place)[0] > page.js(place.replace("conv1#1", "data#1"))[0] + 80
    page.js("sessionStorage.clear()")


def test_the_keyboard_walks_the_graph(view):
    page = view(NET)
    page.js("document.querySelector('#graph > svg').focus()")
    page.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    page.wait("the second layer", lambda: (page.selected() or "").startswith("conv1 "))
    page.keys(Keys.ARROW_UP)
    page.wait("the first", lambda: (page.selected() or "").startswith("data "))
    assert page.shown("#layer")
    place = "return document.querySelector('#graph > svg > g').getAttribute('transform')"
    before = page.js(place)
    page.keys("+")
    assert page.js(place) != before
    page.keys(Keys.ESCAPE)
    page.wait("the panel closes", lambda: not page.shown("#layer"))


def test_weights_are_shown(view, tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffelite.Net(str(tmp_path / "net.prototxt"), caffelite.TEST)
    net.save(str(tmp_path / "w.caffemodel"))
    page = view(NET, weights=Weights(str(tmp_path / "w.caffemodel")))
    page.search("conv1")
    page.wait(
        "histograms", lambda: page.js("return document.querySelectorAll('.histogram').length") == 2
    )
    assert page.js("return document.querySelector('.filters').width") > 4


def test_hovering_tells_shapes_and_counts(view):
    page = view(NET)
    row = page.js("return document.querySelector('[data-layer=\"1\"]')")
    webdriver.ActionChains(page.browser).move_to_element(row).perform()
    page.wait("the tip", lambda: page.shown("#tip"))
    for words in ("2×3×12×9", "2×4×10×7", "112", "15,120"):  # 4 * 27 + 4; 2 * 4 * 70 * 27
        assert words in page.text("#tip")


CUT = """
return [...document.querySelectorAll("header *, .bar *")].filter(one => {
  const { left, right, top, bottom } = one.getBoundingClientRect();
  const under = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  const seen = right <= innerWidth && bottom <= innerHeight && one.contains(under);
  return one.matches("button, input") && one.checkVisibility() && !seen;
}).map(one => one.outerHTML)
"""


@pytest.mark.parametrize("size", [(1440, 900), (1024, 700)])
def test_the_first_view_holds_the_net_beside_all_panels(view, tmp_path, size):
    page = view(NET, runs=Runs([tmp_path / "log.jsonl"]))
    page.size(*size)
    page.wait("the whole net", lambda: page.within("#graph > svg > g", "#graph"))
    assert page.within("#run", "body") and page.within("#right", "body")
    assert not page.js(CUT)
    page_of = "const page = document.documentElement; return page"
    assert page.js(f"{page_of}.scrollWidth <= innerWidth && page.scrollHeight <= innerHeight")
    page.size(size[0], size[1] - 120)
    page.wait("after resizing, too", lambda: page.within("#graph > svg > g", "#graph"))


def test_a_view_that_the_user_chose_stays_when_there_is_other_room(view):
    page = view(NET)
    page.js("document.querySelector('#graph > svg').focus()")
    page.keys("+", "+", "+")
    place = "return document.querySelector('#graph > svg > g').getAttribute('transform')"
    scale = f"{place}.split('scale')[1]"
    before = page.js(scale)
    page.size(1024, 700)
    page.js("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    assert page.js(scale) == before


def test_panels_close_open_and_share_the_room_as_the_user_left_them(view, tmp_path):
    page = view(NET, runs=Runs([tmp_path / "log.jsonl"]))
    find = page.browser.find_element
    width = page.area("#right")
    splitter = find(By.CSS_SELECTOR, ".splitter[data-of=right]")
    webdriver.ActionChains(page.browser).drag_and_drop_by_offset(splitter, -100, 0).perform()
    page.wait(
        "a wider text", lambda: page.area("#right")[0] == pytest.approx(width[0] - 100, abs=2)
    )
    page.js("arguments[0].focus()", splitter)
    page.keys(Keys.ARROW_RIGHT)
    page.wait("a narrower one", lambda: page.area("#right")[0] > width[0] - 100 + 10)
    left = page.area("#right")[0]

    find(By.CSS_SELECTOR, "[data-close=run]").click()
    assert not page.shown("#run") and not page.shown(".splitter[data-of=run]")
    find(By.CSS_SELECTOR, "[data-close=right]").click()
    assert not page.shown("#right") and not page.shown("#findings")
    page.browser.refresh()
    page.wait("the page again", lambda: page.row("data"))
    assert not page.shown("#right") and not page.shown("#run")
    find(By.CSS_SELECTOR, "[data-panel=findings]").click()
    assert page.shown("#findings") and page.shown("#editor")
    assert page.area("#right")[0] == pytest.approx(left, abs=2)
    find(By.CSS_SELECTOR, "[data-panel=run]").click()
    assert page.shown("#run")
    page.js("sessionStorage.clear()")


def run_of(path, rate, outputs, *more):
    """A run log with the settings of a solver and a train event for each loss."""
    solver = {"solver": f"base_lr: {rate}", "nets": {}, "time": 1}
    lines = [{"event": "start", "iteration": 0} | solver]
    for k, loss in enumerate(outputs):
        facts = {"event": "train", "iteration": 10 * k, "loss": loss, "lr": rate, "time": k}
        lines.append(facts | {"outputs": {}, "seconds": 1, "images": 8})
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *more]))


@pytest.mark.parametrize("size", [(1440, 900), (1024, 700)])
def test_runs_are_laid_over_each_other_and_compared(view, tmp_path, size):
    spread = {"min": -1, "max": 1, "mean": 0, "std": 0.5, "histogram": [1, 4, 1]}
    blobs = {HOSTILE: {"data": spread}}
    run_of(tmp_path / f"{HOSTILE}.jsonl", 0.1, [3, 2, 1],
           {"event": "histograms", "iteration": 0, "time": 1, "blobs": blobs},
           {"event": "done", "iteration": 20, "time": 3})  # fmt: skip
    run_of(tmp_path / "second.jsonl", 0.25, [3, 1.5, None, 0.5])
    shutil.copy(GOLDEN, tmp_path / "third.log")
    page = view(NET, runs=Runs(sorted(tmp_path.iterdir())))
    page.size(*size)
    page.wait("three runs", lambda: "3 runs" in page.text("#run-state"))
    assert page.js("return document.querySelectorAll('#curves .chart canvas').length") == 2
    assert page.within("#curves", "#run") and page.within("#run", "body")
    height = page.js("return document.querySelector('#curves canvas').clientHeight")
    assert height >= 70 and page.within("#curves .chart", "#run")
    page.browser.find_element(By.CSS_SELECTOR, "#run .names button:nth-child(3)").click()
    charts = "return document.querySelectorAll('#curves .chart').length"
    page.wait("a third chart", lambda: page.js(charts) == 3)

    page.browser.find_element(By.CSS_SELECTOR, "[data-tab=compare]").click()
    page.wait("the table", lambda: "base_lr" in page.text(".compare"))
    assert "0.25" in page.text(".compare .settings") and "no number at 20" in page.text(".compare")
    page.browser.find_element(By.CSS_SELECTOR, "[data-tab=list]").click()
    page.wait("the list", lambda: page.text(".list table").count("finished") == 2)
    page.browser.find_element(By.CSS_SELECTOR, ".list [title$='second.jsonl']").click()
    said = "train loss is no number at iteration 20"
    page.wait("it alone", lambda: said in page.text("#run-state"))
    assert not page.shown(".list") and page.shown("#curves")
    assert page.js("return document.querySelectorAll('img').length") == 0


def test_runs_alone_are_listed_and_opened(view, tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    spread = {"min": -1, "max": 1, "mean": 0, "std": 0.5, "histogram": [1, 4, 1]}
    record = {
        "event": "histograms",
        "iteration": 0,
        "time": 1,
        "blobs": {HOSTILE: {"data": spread}},
    }
    run_of(folder / "one.jsonl", 0.1, [3, 2, 1], record)
    run_of(folder / "two.jsonl", 0.2, [3, 2, 1, 1])
    page = view(None, runs=Runs([], str(folder)))
    page.wait("the list", lambda: "two.jsonl" in page.text(".list"))
    assert not page.shown("#graph") and not page.shown("#editor") and page.shown("#curves")
    page.browser.find_element(By.CSS_SELECTOR, "[title$='one.jsonl']").click()
    page.wait("the first", lambda: "iteration 20" in page.text("#run-state"))
    page.browser.find_element(By.CSS_SELECTOR, "[data-tab=spread]").click()
    page.wait("the heat map", lambda: page.js("return !!document.querySelector('.heat canvas')"))
    assert HOSTILE in page.text("#blob") and not page.js("return document.querySelector('img')")
    page.browser.find_element(By.CSS_SELECTOR, "[title$='two.jsonl']").click()
    page.wait("the second", lambda: "iteration 30" in page.text("#run-state"))
    page.wait("it has none", lambda: "--histograms" in page.text(".spread"))


@pytest.mark.parametrize("size", [(1440, 900), (1024, 700)])
def test_the_editor_completes_says_errors_at_their_lines_and_finds(view, size):
    page = view(NET.replace('bottom: "data"\n', 'bottom: "nowhere"\n'))
    page.size(*size)
    inside = "const at = document.querySelector('#editor').shadowRoot.querySelector(arguments[0]);"
    error = inside + "return at?.dataset.error ?? ''"
    page.wait("the error", lambda: "nowhere" in page.js(error, ".with-error"))
    assert page.line("nowhere").get_attribute("data-error")

    def offers(word):
        offered = inside + "return at?.textContent ?? ''"
        page.wait(f"{word} is offered", lambda: word in page.js(offered, "[aria-selected]"))
        time.sleep(0.2)  # a list takes no key in the moment in which it appears

    page.type_at_end('type: "Softmax"', Keys.ENTER, "layer { ty")
    offers("type")
    page.keys(Keys.ENTER)
    offers("AbsVal")
    page.keys("Poo")
    offers("Pooling")
    page.keys(Keys.ENTER, " bot")
    offers("bottom")
    page.keys(Keys.ENTER, "con")
    offers("conv1")
    page.keys(Keys.ENTER, " pool")
    offers("pooling_param")
    page.keys(Keys.ENTER, "pool")
    offers("pool")
    page.keys(Keys.ENTER, "AV")
    offers("AVE")
    page.keys(Keys.ENTER)
    words = 'layer { type: "Pooling" bottom: "conv1" pooling_param { pool: AVE }}'
    page.wait("all of it", lambda: page.line(words))
    page.wait("checked", lambda: not page.shown("#checking"))

    keys = webdriver.ActionChains(page.browser)
    keys.key_down(Keys.CONTROL).send_keys("f").key_up(Keys.CONTROL).perform()
    where = inside + "const r = at.getBoundingClientRect(); return [r.left, r.right]"
    left, right = page.js(where, ".cm-search")
    assert page.area("#editor")[0] <= left and right <= page.area("#editor")[2] + 1
    for part in ("input[name=search]", "button[name=replaceAll]", "button[name=close]"):
        assert left <= page.js(where, part)[0] and page.js(where, part)[1] <= right
