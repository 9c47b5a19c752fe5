"""The live widgets of §4 and of MNIST: what they compute is what gan computes; each control does its work."""

import json
import math
import os
import re
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import published
import pytest
import torch
from bs4 import BeautifulSoup
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait
from test_live import need
from test_site import complaints, open_page, seen_as, untypeset

import gan
from gan import theory

pytestmark = pytest.mark.slow  # Node or a browser

ROOT = Path(__file__).resolve().parents[1]
LIVE = ROOT / "book/_static/live"
RUN = ROOT / "book/results/mnist"
CLOSE = {"rtol": 1e-5, "atol": 1e-12}

Node = Callable[..., Any]


@pytest.fixture(scope="module")
def node() -> Node:
    """Runs JavaScript beside the modules: what it says of ``given``, null being NaN."""
    program = need("node")

    def run(imports: str, code: str, given: Any = None) -> Any:
        script = f"""{imports}
            import {{ readFileSync }} from "node:fs"
            const file = (path) => new Uint8Array(readFileSync(path)).buffer
            const given = JSON.parse(readFileSync(0, "utf8"))
            const plain = (_, value) => ArrayBuffer.isView(value) ? Array.from(value) : value
            console.log(JSON.stringify((() => {{ {code} }})(), plain))"""
        command = [program, "--input-type=module", "-e", script]
        done = subprocess.run(command, cwd=LIVE, input=json.dumps(given), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def run() -> gan.Run:
    return gan.Run.load(RUN)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "mnist"
    published.write(RUN, folder)
    return folder


def test_seeds_draw_the_noise_that_torch_draws(node: Node, run: gan.Run) -> None:
    draws = [(0, 50), (1, 3), (2**32 - 1, 20)]
    code = "return given.map(([seed, n]) => torchNoise(seed, n, 100))"
    drawn = node('import { torchNoise } from "./published.js"', code, draws)
    for (seed, n), found in zip(draws, drawn, strict=True):
        z = run.generator.draw_noise(n, torch.Generator().manual_seed(seed))
        assert (np.float32(found).reshape(n, 100) == z.numpy()).all()


def test_scales_are_halves(node: Node) -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = np.isfinite(every)
    read = node(
        'import { half } from "./published.js"', "return given.map(half)", np.flatnonzero(finite).tolist()
    )
    assert (np.float64(read) == every[finite].astype(np.float64)).all()


def test_the_players_are_those_of_the_run(node: Node, run: gan.Run, files: Path) -> None:
    """In rows and one by one; beside float64, and beside the samples that Python shows."""
    code = """
        const G = network(file(given.g), "relu", 1, "sigmoid")
        const D = network(file(given.d), "maxout", 5, "linear")
        const z = torchNoise(7, 9, 100), x = G.forward(z, 9).slice(), logits = D.forward(x, 9).slice()
        const last = G.forward(z.subarray(800), 1).slice(0, 784)
        return { x, logits, last, alone: D.forward(last, 1).slice(0, 1) }"""
    given = {which[0]: str(files / f"{which}.safetensors") for which in ("generator", "discriminator")}
    found = node('import { network, torchNoise } from "./published.js"', code, given)
    x, logits = np.reshape(found["x"], (9, 784)), np.array(found["logits"])
    samples = run.generator.sample(9, seed=7).flatten(1).numpy()
    assert np.allclose(x, samples, rtol=0, atol=1e-5)
    again = gan.Run.load(RUN)  # the fixture's stay in float32
    g, d = again.generator.double(), again.discriminator.double()
    exact = g.render(run.generator.draw_noise(9, torch.Generator().manual_seed(7)).double())
    assert np.allclose(x, exact.flatten(1).numpy(), rtol=1e-5, atol=0)
    assert np.allclose(logits, d(exact).detach().numpy(), **CLOSE)
    assert np.allclose(found["last"], x[8], **CLOSE) and np.allclose(found["alone"], logits[8], **CLOSE)


def test_the_files_are_small_and_the_same_as_scripts(files: Path) -> None:
    weights = [path for path in files.iterdir() if path.suffix == ".safetensors"]
    assert len(weights) == 2
    assert sum(path.stat().st_size for path in weights) <= 4e6
    for path in [*weights, files / "about.json"]:
        script = files / f"{path.name}.js"
        assert script.stat().st_size <= 3.5e6
        name, content = re.findall(r'"([^"]*)"', script.read_text())
        assert name == f"mnist/{path.name}"
        assert b64decode(content) == path.read_bytes()
        assert path.suffix == ".json" or path.read_bytes() == (RUN / path.name).read_bytes()


def test_what_is_said_of_the_run(files: Path, run: gan.Run) -> None:
    about = json.loads((files / "about.json").read_text())
    record = json.loads((RUN / "run.json").read_text())
    assert {key: about[key] for key in ("bits", "moved")} == record["weights"]
    assert about["mean"] == record["metrics"]["parzen"]["mean"]
    weight = run.generator.layers[0].weight.detach().double().numpy()
    strengths = np.array(about["strengths"])
    for which, direction in about["directions"].items():
        v = np.array(direction)
        assert abs(v @ v - 1) < 1e-9
        assert np.allclose(weight.T @ (weight @ v), strengths[int(which) - 1] ** 2 * v, atol=1e-6)
        assert v[abs(v).argmax()] > 0
    assert strengths[9] > 10 * strengths[10], "the chapter says that ten directions count"


def test_neighbours_are_the_nearest_training_examples(files: Path, run: gan.Run) -> None:
    shown = np.array(json.loads((files / "about.json").read_text())["neighbours"], np.uint8)
    assert shown.shape == (5, 784)
    try:
        dataset = gan.data.load("mnist", data_dir=os.environ["GAN_DATA_DIR"])
    except (KeyError, OSError, ValueError, RuntimeError):
        pytest.skip("MNIST is not here")
    if len(dataset.x_train) < 60_000:
        pytest.skip("MNIST is here in part")
    train = gan.data.as_samples(dataset.split(10_000)[0], "unit")
    samples = run.generator.sample(50, seed=0).numpy()[9::10]
    nearest = train[gan.data.nearest(samples, train)].reshape(5, 784)
    assert (np.round(nearest * 255) == shown).all()


def written(shares: np.ndarray) -> str:
    return "".join(np.base_repr(h, 36).lower() for h in np.floor(34 * shares + 0.5).astype(int))


def bars(text: str) -> np.ndarray:
    heights = np.array([int(c, 36) for c in text], np.float64)
    return heights / heights.sum()


def test_densities_are_measured_as_in_theory(node: Node) -> None:
    rng = np.random.default_rng(0)
    digits = np.array([*"0123456789abcdefghijklmnopqrstuvwxy"])
    pairs = [
        ["".join(digits[rng.integers(0, 35, 24) * (rng.random(24) < 0.7)]) for _ in range(2)]
        for _ in range(50)
    ]
    pairs += [["y" + "0" * 23, "0" * 23 + "1"], ["1" * 24, "2" * 24]]
    own = ["".join(digits[1:34][rng.integers(0, 33, 24)]) for _ in pairs]
    given = [[*pair, d] for pair, d in zip(pairs, own, strict=True)]
    code = "return given.map(([p, q, d]) => [measure(p, q, d), measure(p, q, 'best').v])"
    for (p, q, d), (found, best) in zip(
        given, node('import { measure } from "./densities.js"', code, given), strict=True
    ):
        a, b = bars(p), bars(q)
        mine = np.array([int(c, 36) for c in d]) / 34
        middle, tv, log4 = (a + b) / 2, theory.total_variation(a, b), math.log(4)
        d_star = np.array(found["dStar"], np.float64)  # null becomes NaN
        assert np.allclose(d_star, theory.optimal_discriminator(a, b), equal_nan=True, **CLOSE)
        expected = {
            "c": theory.virtual_criterion(a, b),
            "jsd": theory.jensen_shannon(a, b),
            "tv": tv,
            "klData": theory.kl(a, middle),
            "klG": theory.kl(b, middle),
            "v": theory.value(a, b, mine),
            "pinsker": tv**2 - log4,
            "upper": tv * log4 - log4,
        }
        for key, value in expected.items():
            assert np.isclose(found[key], value, **CLOSE), key
        assert found["lower"] - 1e-12 <= found["c"] <= found["upper"] + 1e-12
        pair = np.array([[1 + tv, 1 - tv], [1 - tv, 1 + tv]]) / 2  # has this TV and the least C
        assert np.isclose(found["lower"], theory.virtual_criterion(*pair), **CLOSE)
        assert np.isclose(best, expected["c"], **CLOSE)


def test_paths_are_those_of_theory(node: Node) -> None:
    rng = np.random.default_rng(1)
    games = []
    for rate, k, d_rate in (
        (0.1, None, 1),
        (1, None, 1),
        (1.5, None, 1),
        (5, None, 1),
        (0.1, 1, 0.1),
        (0.3, 5, 2),
        (0.5, 0, 1),
    ):
        p, q = rng.dirichlet(np.ones(3), 2).tolist()
        games.append([p, q, 60, rate, k, d_rate])
    games += [[[0.5, 0.3, 0.2], [0.6, 0.4 - 1e-12, 1e-12], 20, 1.5, None, 1]]
    code = (
        "return given.map(([p, q, steps, rate, k, dRate]) => play(p, q, steps, rate, k ?? Infinity, dRate))"
    )
    for (p, q, steps, rate, k, d_rate), found in zip(
        games, node('import { play } from "./simplex.js"', code, games), strict=True
    ):
        if k is None:
            expected = theory.descend(p, q, steps, rate)
            assert np.allclose(found["pG"], expected, rtol=1e-5, atol=1e-9)
        else:
            path = theory.play(p, q, steps, rate, k=k, d_rate=d_rate)
            assert np.allclose(found["pG"], path.p_g, rtol=1e-5, atol=1e-9)
            d = 1 / (1 + np.exp(-np.array(found["logits"])))
            assert np.allclose(d, path.d, **CLOSE)


# In the browser


@pytest.fixture
def browser(browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    with untypeset(browser):
        yield browser


@pytest.fixture
def opened(site: Path) -> str:
    """Where the site begins when it is opened as files."""
    return f"{site.as_uri()}/"


class Widget:
    """A widget on an open page."""

    def __init__(
        self, browser: webdriver.Chrome, start: str, page: str, name: str, settings: str = ""
    ) -> None:
        self.browser, self.name, self.moved = browser, name, 0.0
        browser.get("about:blank")  # a change of the hash alone would not load the page
        self.seen = open_page(browser, f"{start}book/{page}.html{settings and '#' + settings}")
        self.start = start
        self.meet()

    def meet(self) -> None:
        alive = f"[data-live={self.name}].live-alive"
        self.wait(lambda: self.browser.find_elements("css selector", alive))
        self.place = self.browser.find_element("css selector", alive)

    def refresh(self) -> None:
        self.browser.refresh()
        self.meet()

    def wait(self, until: Callable[[], Any]) -> None:
        WebDriverWait(self.browser, 20, 0.02).until(lambda _: until())

    def find(self, selector: str) -> Any:
        return self.place.find_element("css selector", selector)

    def show(self, tag: Any) -> Any:
        """Away from the page's header, which would take the click."""
        script = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })"
        self.browser.execute_script(script, tag)
        return tag

    def press(self, words: str) -> None:
        (button,) = self.place.find_elements("xpath", f".//button[normalize-space()='{words}']")
        self.show(button).click()

    def texts(self) -> dict[str, str]:
        """All that it tells, by the key."""
        script = """return Object.fromEntries([...arguments[0].querySelectorAll("output[data-key]")].map(
            (tag) => [tag.dataset.key, tag.textContent]))"""
        return dict(self.browser.execute_script(script, self.place))

    def number(self, key: str) -> float:
        return float(self.texts()[key].replace("−", "-"))

    def keys(self, key: str, *pressed: str) -> None:
        self.show(self.find(f"[data-key={key}]")).send_keys(*pressed)

    def choose(self, key: str, value: str) -> None:
        Select(self.find(f"[data-key={key}]")).select_by_value(value)

    def drag(self, canvas: str, *points: tuple[float, float]) -> None:
        """Along places given as shares of the canvas' width and height."""
        tag = self.show(self.find(canvas))
        width, height = tag.size["width"], tag.size["height"]
        places = [(round((x - 0.5) * width), round((y - 0.5) * height)) for x, y in points]
        chain = ActionChains(self.browser, duration=0)
        chain.move_to_element_with_offset(tag, *places[0]).click_and_hold()
        for place in places[1:]:
            chain.move_to_element_with_offset(tag, *place)
        chain.release().perform()
        self.moved = time.monotonic() + 0.35  # until then the address may wait

    def settings(self) -> dict[str, str]:
        """What the address keeps."""
        time.sleep(self.moved - time.monotonic() if self.moved > time.monotonic() else 0)
        pairs = parse_qsl(
            self.browser.execute_script("return location.hash").lstrip("#"), keep_blank_values=True
        )
        return {key.partition(".")[2]: value for key, value in pairs if key.startswith(f"{self.name}.")}

    def check_quiet(self) -> None:
        logs = [json.loads(e["message"])["message"] for e in self.browser.get_log("performance")]
        urls = [e["params"]["request"]["url"] for e in logs if e["method"] == "Network.requestWillBeSent"]
        allowed = (self.start, "data:", "about:")
        assert not [url for url in [*self.seen.requests, *urls] if not url.startswith(allowed)]
        assert not [*self.seen.complaints, *complaints(self.browser)]


def test_two_densities(browser: webdriver.Chrome, opened: str) -> None:
    widget = Widget(browser, opened, "global-optimality", "densities")

    def shown(keys: str = "jsd tv v lack lower upper") -> dict[str, float]:
        texts = widget.texts()
        return {key: float(texts[key].replace("−", "-")) for key in keys.split()}

    def check() -> None:
        """The numbers are those of the densities that the address keeps."""
        kept = {**first, **widget.settings()}
        a, b = bars(kept["p"]), bars(kept["q"])
        c, tv = theory.virtual_criterion(a, b), theory.total_variation(a, b)
        d = (
            theory.optimal_discriminator(a, b)
            if kept["d"] == "best"
            else [int(x, 36) / 34 for x in kept["d"]]
        )
        expected = {"jsd": theory.jensen_shannon(a, b), "tv": tv, "v": theory.value(a, b, d)}
        expected |= {"lack": c - expected["v"], "upper": (tv - 1) * math.log(4)}
        assert shown() == pytest.approx(expected | {"lower": shown()["lower"]}, abs=6e-4)
        assert shown()["lower"] - 1e-3 <= c <= shown()["upper"] + 1e-3

    bins = np.arange(24)
    low, high = np.exp(-((bins - [[6], [17]]) ** 2) / 8)
    first = {"p": written(0.9 * low + 0.5 * high), "q": written(low), "d": "h" * 24}
    check()
    widget.press("两个相同")
    assert shown() == {"jsd": 0, "tv": 0, "v": -1.386, "lack": 0, "lower": -1.386, "upper": -1.386}
    widget.press("不相交")
    assert shown() == {"jsd": 0.693, "tv": 1, "v": -1.386, "lack": 1.386, "lower": 0, "upper": 0}
    for _ in range(5):  # from 14 … 19 to 9 … 14: they do not meet yet
        widget.press("p_g 左移")
        assert shown("jsd tv") == {"jsd": 0.693, "tv": 1}
    widget.press("p_g 左移")
    assert shown("tv")["tv"] < 1
    widget.press("p_g 右移")
    assert shown("tv")["tv"] == 1
    widget.press("D 换成 D*")
    assert shown("lack v") == {"lack": 0, "v": 0}
    check()
    for preset in ("一窄一宽", "只学到一座峰"):
        before = shown()
        widget.press(preset)
        assert shown() != before
        check()
    assert shown("lack") == {"lack": 0}  # D is still D*
    widget.press("D 换成 1/2")
    assert shown("v") == {"v": -1.386}
    for what in ("q", "p", "d"):  # adjusted by keys alone
        before = shown()
        widget.choose("what", what)
        widget.keys("bin", *[Keys.HOME], *[Keys.ARROW_RIGHT] * 11)
        widget.find("input[id$=height]").send_keys(*[Keys.ARROW_UP] * 4)
        widget.moved = time.monotonic() + 0.35
        assert shown() != before
        check()
    for what, y, dragged in (("q", 0.3, "q"), ("p", 0.4, "p"), ("q", 0.8, "d")):  # D lies below
        widget.choose("what", what)
        before, settings = shown(), {**first, **widget.settings()}
        widget.drag(".live-drag", (0.3, 0.5 if y < 0.6 else 0.9), (0.6, y))
        assert shown() != before
        assert {key for key, value in widget.settings().items() if settings[key] != value} == {dragged}
        check()
    kept, settings = shown(), widget.settings()
    widget.refresh()
    assert shown() == kept
    assert widget.settings() == settings
    widget.check_quiet()


def test_a_walk_on_the_simplex(browser: webdriver.Chrome, opened: str) -> None:
    widget = Widget(browser, opened, "convergence", "simplex")
    p_data = np.array([0.5, 0.3, 0.2])
    first = {"third": "0.9", "first": "0.5", "rate": "0.3", "d": "best", "dRate": "0.1", "t": "120"}

    def check() -> dict[str, str]:
        kept = {**first, **widget.settings()}
        third, share, rate = (float(kept[key]) for key in ("third", "first", "rate"))
        p_0, t = np.array([(1 - third) * share, (1 - third) * (1 - share), third]), int(kept["t"])
        if kept["d"] == "best":
            path = theory.descend(p_data, p_0, 120, rate)
        else:
            play = theory.play(p_data, p_0, 120, rate, k=int(kept["d"]), d_rate=float(kept["dRate"]))
            path = play.p_g
            assert widget.number("v") == pytest.approx(theory.value(p_data, path[t], play.d[t]), abs=6e-4)
        c = np.array([theory.virtual_criterion(p_data, p) for p in path])
        assert widget.number("c") == pytest.approx(c[t], abs=6e-5)
        assert [float(p) for p in widget.texts()["p"].split("，")] == pytest.approx(path[t], abs=6e-4)
        assert widget.number("rises") == (np.diff(c) > 1e-12).sum()
        return kept

    check()
    falling, rising = ("步长 1", "步长 2"), ("步长 5", "从边上出发", "D 落后", "D 不动")
    for preset in (*falling, *rising):
        widget.press(preset)
        check()
        assert (widget.number("rises") > 0) == (preset in rising), preset
        assert widget.find(".live-status").text
    before = check()
    for key in ("third", "first", "rate", "dRate", "t"):
        widget.keys(key, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    widget.press("走一步")
    after = check()
    assert after["t"] == "119" and not [key for key in before if key != "d" and after[key] == before[key]]
    for d in ("1", "best"):
        widget.choose("d", d)
        assert check()["d"] == d
    before = check()
    widget.drag("canvas.live-drag", (0.5, 0.9), (0.35, 0.75))
    after = check()
    assert (after["third"], after["first"]) != (before["third"], before["first"])
    assert float(after["first"]) > 0.6 and float(after["third"]) < 0.3  # low on the left, where x_1 is
    widget.keys("t", Keys.HOME)
    widget.press("播放")
    widget.wait(lambda: widget.find(".live-buttons button").text == "停下")
    widget.wait(lambda: 0 < widget.number("steps") < 120)
    hide = """Object.defineProperty(document, "hidden", { configurable: true, get: () => true })
        document.dispatchEvent(new Event("visibilitychange"))
        delete document.hidden"""
    browser.execute_script(hide)
    assert widget.find(".live-buttons button").text == "播放"
    widget.moved = time.monotonic() + 0.35
    kept = check()
    widget.refresh()
    assert check() == kept
    widget.check_quiet()


FIRST = {"seed": "0", "from": "9", "to": "30", "t": "0"}


@pytest.fixture(scope="module")
def check_digits(run: gan.Run, files: Path) -> Callable[[Widget], dict[str, str]]:
    """D's verdicts on a page are those of the run, for what the address keeps, which is told."""
    about = json.loads((files / "about.json").read_text())

    def check(widget: Widget) -> dict[str, str]:
        widget.wait(lambda: widget.number("count") == 50)
        kept = {**FIRST, **widget.settings()}
        z = run.generator.draw_noise(50, torch.Generator().manual_seed(int(kept["seed"])))
        here = torch.lerp(z[int(kept["from"])], z[int(kept["to"])], float(kept["t"]))
        for which, direction in about["directions"].items():
            here = here + float(kept.get(f"s{which}", 0)) * torch.tensor(direction)
        d = run.discriminator.probability(run.generator.render(torch.cat([here[None], z])))
        assert widget.number("d") == pytest.approx(d[0].item(), abs=6e-4)
        assert widget.number("mean") == pytest.approx(d[1:].mean().item(), abs=6e-4)
        near = torch.tensor(about["neighbours"]).view(5, 1, 28, 28) / 255
        expected = run.discriminator.probability(near).mean().item()
        assert widget.number("near") == pytest.approx(expected, abs=6e-4)
        return kept

    return check


def load(widget: Widget) -> None:
    assert not widget.place.find_elements("css selector", "canvas")
    widget.press("载入生成器（3.9 MB）")
    widget.wait(lambda: widget.place.find_elements("css selector", "[data-key=count]"))


def test_the_generator_plays(
    browser: webdriver.Chrome, address: str, check_digits: Callable[[Widget], dict[str, str]]
) -> None:
    widget = Widget(browser, address, "mnist", "digits")
    load(widget)
    kept = check_digits(widget)
    record = json.loads((RUN / "run.json").read_text())["weights"]
    assert (
        f"每个 {record['bits']} 位；舍入使 Parzen 窗估计移动了 {record['moved']:.2f} 纳特"
        in widget.place.text
    )
    for key in ("t", "s1", "s2", "s3", "s4", "s100"):
        d = widget.number("d")
        widget.keys(key, *[Keys.ARROW_RIGHT] * 5)
        assert key == "s100" or widget.number("d") != d
    before, kept = kept, check_digits(widget)
    assert not {*before.items()} & {*kept.items()} - {*FIRST.items()}
    assert {key for key in kept if re.fullmatch(r"s\d+", key)} == {"s1", "s2", "s3", "s4", "s100"}
    widget.press("方向归零")
    widget.drag("canvas.live-drag", (0.1, 0.2), (0.75, 0.2))
    for end, share in (("to", 0.25), ("from", 0.34)):
        widget.choose("end", end)
        widget.drag("canvas.live-grid", (share, 0.5))
    kept = check_digits(widget)
    assert {**kept, "t": 0} == {"seed": "0", "from": "23", "to": "22", "t": 0, "end": "from"}
    assert 0.6 < float(kept["t"]) < 0.8
    widget.press("起点终点对调")
    widget.press("换一批")
    kept = check_digits(widget)
    assert (kept["from"], kept["to"], kept["seed"]) == ("22", "23", "1")
    for key, value in (("seed", "4294967295"), ("from", "3"), ("to", "49")):
        widget.keys(key, Keys.CONTROL, "a")
        widget.keys(key, value, Keys.ENTER)
    kept = check_digits(widget)
    assert (kept["from"], kept["to"], kept["seed"]) == ("3", "49", "4294967295")
    widget.refresh()  # with settings in the address it loads by itself
    widget.wait(lambda: widget.place.find_elements("css selector", "[data-key=count]"))
    assert check_digits(widget) == kept
    widget.press("图 2 的一批")
    assert check_digits(widget)["seed"] == "0"
    widget.check_quiet()


def test_the_generator_plays_from_a_file(
    browser: webdriver.Chrome, opened: str, check_digits: Callable[[Widget], dict[str, str]]
) -> None:
    widget = Widget(browser, opened, "mnist", "digits")
    load(widget)
    widget.press("换一批")
    widget.keys("t", *[Keys.ARROW_RIGHT] * 9)
    assert check_digits(widget)["seed"] == "1"
    widget.check_quiet()


WRONG = {
    ("global-optimality", "densities"): "p=zzz&q=000000000000000000000000&d=&bin=NaN&what=x&no=1",
    ("convergence", "simplex"): "third=2&first=NaN&rate=1e9&d=k&dRate=-1&t=1.5&__proto__=1",
    ("mnist", "digits"): "seed=-1&from=50&to=NaN&end=x&t=0.001&s1=99&s2=%E0%A4",
}


@pytest.mark.parametrize(("place", "settings"), WRONG.items())
def test_a_wrong_address_falls_back_and_says_so_and_all_fits_on_a_phone(
    browser: webdriver.Chrome, address: str, place: tuple[str, str], settings: str
) -> None:
    page, name = place
    wrong = [f"{name}.{part}" for part in settings.split("&")]
    widget = Widget(browser, address, page, name, "&".join(wrong))
    said = widget.find(".live-status").text
    for part in wrong:
        assert part.partition(".")[2].partition("=")[0] in said
    assert "默认值" in said
    with seen_as(browser, "dark", 360):
        if name == "digits":  # with settings in the address it loads by itself
            widget.show(widget.place)
            widget.wait(lambda: widget.place.find_elements("css selector", ".live-beside"))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
        labels = """return [...arguments[0].querySelectorAll("input, select")].map(
            (tag) => [...tag.labels].map((label) => label.innerText.trim()).join())"""
        found = browser.execute_script(labels, widget.place)
        assert found and all(found)
    widget.check_quiet()


def test_widgets_of_a_page_do_not_disturb_each_other(
    browser: webdriver.Chrome, site: Path, tmp_path: Path
) -> None:
    places = "".join(
        f'<div class="live" data-live="{name}"></div>' for name in ("densities", "densities", "simplex")
    )
    script = (site / "_static/live/load.js").as_uri()
    (tmp_path / "two.html").write_text(
        f'<meta charset="utf-8"><body>{places}<script src="{script}"></script>'
    )
    browser.get((tmp_path / "two.html").as_uri())
    WebDriverWait(browser, 10, 0.02).until(lambda b: len(b.find_elements("css selector", ".live-alive")) == 3)
    one, other, simplex = browser.find_elements("css selector", ".live")
    before = [tag.text for tag in (one, simplex)]
    next(b for b in other.find_elements("css selector", "button") if b.text == "不相交").click()
    time.sleep(0.3)
    assert [tag.text for tag in (one, simplex)] == before
    next(b for b in simplex.find_elements("css selector", "button") if b.text == "步长 5").click()
    hashed = browser.execute_script("return location.hash")
    assert "densities2.p=" in hashed and "simplex.rate=5" in hashed and "densities.p=" not in hashed
    next(b for b in one.find_elements("css selector", "button") if b.text == "一窄一宽").click()
    added = browser.execute_script("return location.hash")
    assert "densities.p=" in added and set(hashed[1:].split("&")) < set(added[1:].split("&"))
    ids = [tag.get_attribute("id") for tag in browser.find_elements("css selector", "[id]")]
    assert len(ids) == len(set(ids))


def test_without_a_script_a_sentence_stands_there(site: Path) -> None:
    for page, name in WRONG:
        soup = BeautifulSoup((site / f"book/{page}.html").read_text("utf-8"), "html.parser")
        (place,) = soup.select(f"[data-live={name}]")
        assert "没有脚本时" in place.select_one(".live-static").get_text()
