"""The live pages: the JavaScript against gan/, in Node and Chromium; what presets promise; controls."""

import copy
import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import live
import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from scipy import stats
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from test_site import complaints, seen_as, untypeset

import gan
from gan import objective, theory, toy
from gan.nets import Discriminator, Generator

pytestmark = pytest.mark.slow  # Node, TypeScript or a browser

ROOT = Path(__file__).resolve().parents[1]
LIVE, HERE = ROOT / "book/_static/live", ROOT / "tests/live"

GAMES = [("adam", "minimax"), ("adam", "non_saturating"), ("sgd", "minimax"), ("sgd", "non_saturating")]
LINE = [target.name for target in toy.TARGETS.values() if target.dimensions == 1]
POINTS = [-30.0, -9.5, -3.1, -3.0, -1.0, -1e-9, 0.0, 0.3, 2.9, 3.01, 6.0]


def need(tool: str) -> str:
    if found := shutil.which(tool):
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(f"{tool} is needed, and not found")
    pytest.skip(f"{tool} not found")


def node(*arguments: str | Path) -> Any:
    done = subprocess.run([need("node"), HERE / "run.mjs", LIVE, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def flat(network: torch.nn.Module) -> list[float]:
    return torch.cat([w.detach().flatten() for w in network.parameters()]).tolist()


def test_types_hold() -> None:
    done = subprocess.run([need("tsc"), "-p", HERE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_it_all_stays_small() -> None:
    code = [re.sub(r"/\*.*?\*/", "", file.read_text("utf-8"), flags=re.S) for file in LIVE.glob("*.js")]
    lines = [line.strip() for source in code for line in source.splitlines()]
    assert 500 < sum(bool(line) and not line.startswith("//") for line in lines) <= 1500


# The same weights and noise, in gan/ and in JavaScript


class Case:
    """Networks of odd sizes in the plane, that no block of a loop fits, and those of Figure 1 on the line."""

    def __init__(self) -> None:
        torch.manual_seed(5)
        self.m = 33
        self.g = Generator(3, (12, 9), (2,), output="linear", init=0.5, bias_init=0.4).double()
        self.d = Discriminator(
            (2,), (10, 7), 2, dropout_input=0.0, dropout_hidden=0.0, init="pytorch"
        ).double()
        self.x = 2 * torch.randn(self.m, 2, dtype=torch.float64)
        self.z = self.g.draw_noise(self.m).double()
        line = gan.nets.networks(gan.recipe("figure1"), (1,))
        self.line_g, self.line_d = line
        with torch.no_grad():
            for w in [*self.line_g.parameters(), *self.line_d.parameters()]:
                w.mul_(1.7)
        self.given = {
            **{"m": self.m, "x": self.x.flatten().tolist(), "z": self.z.flatten().tolist(), "games": GAMES},
            **{"g": flat(self.g), "d": flat(self.d), "g_widths": [3, 12, 9, 2], "d_widths": [2, 10, 7, 1]},
            **{"line_g": flat(self.line_g), "line_widths": [1, 64, 64, 1], "line_d": flat(self.line_d)},
            **{"line_d_widths": [1, 32, 32, 1], "targets": LINE, "points": POINTS},
        }

    def play(self, optimizer: str, loss: str) -> dict[str, Any]:
        """What `gan` makes of it in float64: losses, gradients, and the weights after three iterations."""
        g, d = copy.deepcopy(self.g), copy.deepcopy(self.d)
        move: Callable[[Any], torch.optim.Optimizer] = {
            "adam": lambda net: torch.optim.Adam(net.parameters(), 0.01, (0.5, 0.999)),
            "sgd": lambda net: torch.optim.SGD(net.parameters(), 0.01, 0.5),
        }[optimizer]
        g_move, d_move = move(g), move(d)
        told: dict[str, Any] = {}

        def step(
            net: torch.nn.Module, lose: torch.Tensor, mover: torch.optim.Optimizer | None
        ) -> list[float]:
            gradient = torch.autograd.grad(lose, list(net.parameters()))
            if mover:
                for w, grad in zip(net.parameters(), gradient, strict=True):
                    w.grad = grad
                mover.step()
            return torch.cat([grad.flatten() for grad in gradient]).tolist()

        real, fake = d(self.x), d(g(self.z))
        told |= {"fake": g(self.z).flatten().tolist(), "logits": torch.cat([real, fake]).tolist()}
        told |= {"value": objective.value(real, fake).item()}
        told |= {"d_loss": objective.discriminator_loss(real, fake).item()}
        told |= {"g_loss": objective.GENERATOR_LOSSES[loss](fake).item()}
        told["d_gradient"] = step(d, objective.discriminator_loss(real, fake), None)
        told["g_gradient"] = step(g, objective.GENERATOR_LOSSES[loss](d(g(self.z))), None)
        for _ in range(3):
            step(d, objective.discriminator_loss(d(self.x), d(g(self.z).detach())), d_move)
            step(g, objective.GENERATOR_LOSSES[loss](d(g(self.z))), g_move)
        return told | {"d_after": flat(d), "g_after": flat(g)}


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def close(got: Any, expected: Any, absolute: float = 1e-9) -> bool:
    got, expected = (np.array(value, dtype=np.float64) for value in (got, expected))
    return np.allclose(got, expected, rtol=1e-5, atol=absolute, equal_nan=True)


def check(answers: dict[str, Any], case: Case) -> None:
    for optimizer, loss in GAMES:
        got = answers["players"][f"{optimizer} {loss}"]
        for name, expected in case.play(optimizer, loss).items():
            assert close(got[name], expected), (optimizer, loss, name)
    for name in LINE:
        target, got = toy.TARGETS[name], answers["targets"][name]
        for noise in ("uniform", "gaussian"):
            case.line_g.noise = noise
            snapshot = toy.snapshot(case.line_g, case.line_d, target)
            ends = snapshot.edges.clip(-target.reach, target.reach)
            middles = torch.from_numpy((ends[1:] + ends[:-1]) / 2)
            with torch.no_grad():  # its logits are float32's
                logit = copy.deepcopy(case.line_d).double()(middles[:, None]).numpy()
            exact = dataclasses.replace(snapshot, logit=logit)
            there = got[noise]
            assert close(got["edges"], exact.edges) and close(got["masses"], exact.p_data)
            assert close(there["p_g"], exact.p_g) and close(there["logit"], logit), (name, noise)
            assert abs(sum(there["p_g"]) - 1) < 1e-6
            with np.errstate(invalid="ignore"):
                d_star = exact.p_data / (exact.p_data + exact.p_g)
            sure = exact.p_data + exact.p_g > 1e-8  # elsewhere both are rounding
            told = np.array(there["d_star"], dtype=np.float64)
            assert close(told[sure], d_star[sure]), (name, noise)
            pair = exact.p_data, exact.p_g
            assert close(there["value"], exact.value) and close(there["criterion"], exact.criterion)
            assert close(there["jsd"], theory.jensen_shannon(*pair))
            assert close(there["tv"], theory.total_variation(*pair))
            assert close(there["kl"], theory.kl(exact.p_data, (exact.p_data + exact.p_g) / 2))
            assert close(there["criterion"], -np.log(4) + 2 * there["jsd"])
    assert np.allclose(answers["cdf"], stats.norm.cdf(POINTS), rtol=1e-9, atol=0)
    drawn = np.array(answers["drawn"][1:-1]).reshape(4, 80).sum(1)
    assert np.allclose(drawn, [0.125, 0.375, 0, 0.5])


def test_it_agrees_with_gan_under_node(case: Case, tmp_path: Path) -> None:
    (tmp_path / "given.json").write_text(json.dumps(case.given))
    check(node("answers", tmp_path / "given.json"), case)


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_it_agrees_with_gan_in_chromium(
    case: Case, browser: webdriver.Chrome, address: str, site: Path, scheme: str
) -> None:
    open_widget(browser, where(scheme, address, site, "adversarial-nets"))
    modules = {
        "http": "Promise.all(['nets', 'theory'].map((name) => import(`../_static/live/${name}.js`)))",
        "file": "Promise.resolve([liveModules.nets, liveModules.theory])",
    }[scheme]
    answers = re.sub("^//.*\n", "", (HERE / "answers.js").read_text("utf-8"))
    browser.set_script_timeout(60)
    script = f"{modules}.then((both) => arguments[1](({answers})(...both, arguments[0])))"
    check(browser.execute_async_script(script, case.given), case)


def test_random_numbers_are_what_they_are_called() -> None:
    got = node("random")
    assert got["same"]
    assert stats.kstest(got["uniform"], "uniform").pvalue > 1e-3
    assert stats.kstest(got["normal"], "norm").pvalue > 1e-3
    neighbours = np.array(got["normal"]).reshape(-1, 2)
    assert abs(np.corrcoef(neighbours.T)[0, 1]) < 0.04
    for name, target in toy.TARGETS.items():
        sample = np.array(got["samples"][name])
        if target.dimensions == 1:
            assert stats.kstest(sample, target.cdf).pvalue > 1e-3, name
        else:
            expected = target.sample(4000, seed=1).numpy()
            for axis in (0, 1):
                assert stats.ks_2samp(sample[axis::2], expected[:, axis]).pvalue > 1e-3, name
            points = torch.from_numpy(sample.reshape(-1, 2)), torch.from_numpy(expected)
            heights, right = (target.distribution.log_prob(x) for x in points)
            assert heights.median().item() == pytest.approx(right.median().item(), abs=0.1)
    bars = np.histogram(got["drawn"], np.linspace(-4, 4, 5))[0]
    assert bars[2] == 0 and stats.chisquare(bars[[0, 1, 3]], [1000, 3000, 4000]).pvalue > 1e-3


# What the presets promise


def test_convergence_comes_within_the_stated_steps() -> None:
    for seed in node("converge"):
        assert seed["jsds"][-1] < 0.03 < seed["jsds"][0], seed
        assert seed["steps"] <= 300
        assert np.allclose(seed["totals"], 1, rtol=0, atol=1e-6)


def test_saturation_stalls_and_the_other_loss_does_not() -> None:
    minimax, other = node("saturate")
    assert (minimax["loss"], other["loss"]) == ("minimax", "non_saturating")
    assert minimax["start"] == other["start"]
    assert minimax["moved"] < 1 and other["moved"] > 4
    assert minimax["pull"] < 0.1 < 1 < other["pull"]


def test_oscillation_passes_the_goal_again_and_again() -> None:
    means = node("oscillate")
    assert sum((a - 6) * (b - 6) < 0 for a, b in pairwise(means)) >= 3
    assert max(means) > 9 and min(means[means.index(max(means)) :]) < 5


def test_collapse_loses_modes_from_every_seed() -> None:
    seeds = node("collapse")
    assert len(seeds) == 5
    for left in seeds:
        lesser = np.minimum(left, 1 - np.array(left))  # of two modes of 0.7 and 0.3
        assert np.mean(lesser < 0.05) > 0.9
        assert min(left) < 0.05 and max(left) > 0.95  # it has been at either


@pytest.mark.soak
def test_the_plane_is_covered_or_not_as_told() -> None:
    got = node("plane")
    assert got["most"] == 8
    assert max(got["few"]) <= 2
    wide, narrow = got["some"]  # of 25
    assert 8 <= wide <= 12 and 3 <= narrow <= 7


# The joined script and the directive


def test_modules_are_joined_in_order() -> None:
    joined = live.join(
        {
            "a": 'import { two } from "./b.js"\n\nexport const four = two + two\n',
            "b": "const hidden = 2\nexport const two = hidden\nexport function three() { return 3 }\n",
        }
    )
    run = f"{joined}\nconsole.log(JSON.stringify([liveModules.a, Object.keys(liveModules.b)]))"
    done = subprocess.run([need("node"), "-e", run], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [{"four": 4}, ["two", "three"]]


@pytest.mark.parametrize(
    "line", ["export default 3", "export { a }", 'import a from "./a.js"', 'import * as a from "./a.js"']
)
def test_what_cannot_be_joined_is_refused(line: str) -> None:
    with pytest.raises(Exception, match=r"c\.js: can't be joined"):
        live.join({"a": "export const a = 1", "c": line})


def test_only_pages_with_a_widget_have_the_script(pages: dict[str, BeautifulSoup]) -> None:
    found = 0
    for page, soup in pages.items():
        places = soup.select("[data-live]")
        assert len(soup.select('script[src*="live/load.js"]')) == bool(places), page
        assert len(soup.select('link[href*="live/live.css"]')) == bool(places), page
        for place in places:  # what stands there without JavaScript
            assert (LIVE / f"{place['data-live']}.js").is_file()
            assert place.select_one(".live-static").get_text().strip(), page
        found += len(places)
    assert found >= 3
    for page in ("index", "adversarial-nets", "advantages"):
        shown = pages[f"book/{page}.html"].select_one(".live-static img")
        assert shown["src"].endswith(".svg") and len(shown["alt"]) > 20, page
        assert len(pages[f"book/{page}.html"].select_one(".live-static").get_text().strip()) > 40, page


# In the browser

NUMBERS = """Object.fromEntries([...place.querySelectorAll("output[data-key]")].map((o) =>
    [o.dataset.key, o.textContent]))"""
PLAY_TO = f"""
    const [n, place, done] = [arguments[0], document.querySelector(".live"), arguments[1]]
    const play = place.querySelector("[data-key=play]"), read = () => {NUMBERS}
    new MutationObserver((_, watcher) => {{  // at once, before another order is given
        if (Number(read().g) < n) return
        watcher.disconnect()
        play.click()
        done(read())
    }}).observe(place, {{ childList: true, subtree: true }})
    play.click()"""


@pytest.fixture
def browser(browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    with untypeset(browser):
        yield browser


def where(scheme: str, address: str, site: Path, page: str) -> str:
    return f"{address if scheme == 'http' else f'{site.as_uri()}/'}book/{page}.html"


def numbers(browser: webdriver.Chrome) -> dict[str, str]:
    return browser.execute_script(f'const place = document.querySelector(".live"); return {NUMBERS}')


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def wait(browser: webdriver.Chrome) -> WebDriverWait:
    return WebDriverWait(browser, 20, 0.02)


@contextmanager
def beforehand(browser: webdriver.Chrome, script: str) -> Iterator[None]:
    """On every page ``script`` comes before its own."""
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.fixture
def hurried(browser: webdriver.Chrome) -> Iterator[None]:
    """Frames follow each other as fast as they can."""
    script = """requestAnimationFrame = (frame) => setTimeout(frame)
        cancelAnimationFrame = clearTimeout"""
    with beforehand(browser, script):
        yield


def open_widget(browser: webdriver.Chrome, url: str, *, anew: bool = True) -> None:
    """Open a page, `anew` even if it is open, and wait for its first widget's numbers."""
    if anew or browser.current_url != url:
        browser.get("about:blank")
        browser.get_log("browser"), browser.get_log("performance")
        browser.get(url)
    browser.execute_script("document.querySelector('.live').scrollIntoView()")
    wait(browser).until(numbers)


def until(browser: webdriver.Chrome, **shown: str) -> dict[str, str]:
    wait(browser).until(lambda b: shown.items() <= numbers(b).items())
    return numbers(browser)


def press(browser: webdriver.Chrome, key: str) -> None:
    browser.execute_script(f"document.querySelector('.live button[data-key={key}]').click()")


def choose(browser: webdriver.Chrome, key: str, value: str) -> None:
    """Set a control as a reader does: its value, then the event."""
    browser.execute_script(
        """const control = document.querySelector(`.live [data-key="${arguments[0]}"]:is(select, input)`)
        control.value = arguments[1]
        control.dispatchEvent(new Event("input", { bubbles: true }))
        control.dispatchEvent(new Event("change", { bubbles: true }))""",
        *(key, value),
    )


def requests(browser: webdriver.Chrome) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_buttons_do_what_they_say(browser: webdriver.Chrome, address: str, site: Path, scheme: str) -> None:
    open_widget(browser, where(scheme, address, site, "adversarial-nets"))
    start = until(browser, d="0", g="0")
    seen = [start]
    for step in ("1", "2", "3"):  # what the chapter asks and answers
        press(browser, "step-d")
        seen.append(until(browser, d=step, g="0"))
    assert {s["criterion"] for s in seen} == {start["criterion"]}
    assert all(number(a["value"]) < number(b["value"]) for a, b in pairwise(seen))
    assert all(number(a["gap"]) > number(b["gap"]) for a, b in pairwise(seen))
    press(browser, "step-g")
    assert until(browser, d="3", g="1")["criterion"] != start["criterion"]
    press(browser, "reset")
    assert until(browser, d="0") == start
    browser.set_script_timeout(60)
    played = browser.execute_async_script(PLAY_TO, 3)
    assert (played["d"], played["g"]) == ("9", "3")
    assert numbers(browser) == played  # it has stopped
    press(browser, "reset")
    until(browser, d="0")
    assert browser.execute_async_script(PLAY_TO, 3) == played  # the seed's own way
    assert not complaints(browser)
    mine = (address, "blob:", "data:") if scheme == "http" else ("file:", "blob:", "data:")
    assert not [url for url in requests(browser) if not url.startswith(mine)]


def test_leaving_the_tab_pauses(browser: webdriver.Chrome, address: str) -> None:
    open_widget(browser, f"{address}book/adversarial-nets.html", anew=False)
    press(browser, "reset")
    until(browser, g="0")
    press(browser, "play")
    wait(browser).until(lambda b: int(numbers(b)["g"]) > 0)
    left = """Object.defineProperty(document, "hidden", { value: true, configurable: true })
        document.dispatchEvent(new Event("visibilitychange"))
        delete document.hidden"""
    browser.execute_script(left)
    assert browser.find_element(By.CSS_SELECTOR, ".live [data-key=play]").text == "播放"
    after = """const [n, done] = arguments
        let i = 0
        const look = () => ++i > n ? done() : requestAnimationFrame(look)
        look()"""
    browser.execute_async_script(after, 10)  # the order that was under way is done
    seen = numbers(browser)
    browser.execute_async_script(after, 20)
    assert numbers(browser) == seen


def test_lines_follow_the_theme(browser: webdriver.Chrome, address: str) -> None:
    fits = """const canvas = document.querySelector(".live canvas")
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        let black = 0, white = 0
        for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) {
            if (Math.max(data[i], data[i + 1], data[i + 2]) < 30) black++
            if (Math.min(data[i], data[i + 1], data[i + 2]) > 225) white++
        }
        return black > 99 && black > 10 * white ? "light" : white > 99 && white > 10 * black ? "dark" : "" """
    open_widget(browser, f"{address}book/adversarial-nets.html", anew=False)
    with seen_as(browser):
        for theme in ("light", "dark"):  # the size stays
            media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            wait(browser).until(lambda b, theme=theme: b.execute_script(fits) == theme)


OTHERS = {
    **{"preset": "collapse", "target": "cauchy", "compare": "k", "loss": "minimax", "k": "0", "gRate": "6"},
    **{"dRate": "6", "optimizer": "sgd", "momentum": "2", "decay": "0", "noise": "gaussian", "width": "0"},
    **{"batch": "0", "lead": "1", "seed": "77", "speed": "slow"},
}


@pytest.mark.usefixtures("hurried")
def test_every_control_changes_what_is_seen(browser: webdriver.Chrome, address: str) -> None:
    page = f"{address}book/adversarial-nets.html"
    open_widget(browser, page)
    browser.set_script_timeout(60)
    found = "return [...document.querySelectorAll('.live :is(select, input)')].map((c) => c.dataset.key)"
    assert set(browser.execute_script(found)) == OTHERS.keys()
    usual = browser.execute_async_script(PLAY_TO, 2)
    for key, value in OTHERS.items():
        choose(browser, key, value)
        assert f"figure1.{key}=" in browser.current_url
        if key == "speed":  # the game goes on
            assert numbers(browser) == usual
        else:
            until(browser, g="0", d="0")
            assert browser.execute_async_script(PLAY_TO, 24 if key == "decay" else 2) != usual, key
        browser.execute_script("location.hash = '#figure1.seed=2'")  # as it was
        until(browser, g="0")
        if key == "seed":  # before "speed": the usual game once more
            again = browser.execute_async_script(PLAY_TO, 2)
            assert again == usual
    assert not complaints(browser)


def test_where_workers_are_no_modules_the_page_trains_by_itself(
    browser: webdriver.Chrome, address: str
) -> None:
    """There the type is not looked at, and `import` is no statement of a classic script."""
    page = f"{address}book/adversarial-nets.html#figure1.seed=5"
    open_widget(browser, page)
    usual = browser.execute_async_script(PLAY_TO, 3)
    classic = "Worker = class extends Worker { constructor(url) { super(url); globalThis.asked = true } }"
    with beforehand(browser, classic):
        open_widget(browser, page)
        assert browser.execute_script("return asked")
        assert browser.execute_async_script(PLAY_TO, 3) == usual


@pytest.mark.soak
@pytest.mark.parametrize(("frame", "moving"), [(3, 2), (50, 1)])
def test_a_slow_film_is_drawn_coarsely_until_it_stops(
    browser: webdriver.Chrome, address: str, frame: int, moving: int
) -> None:
    """By a clock that goes on by so many milliseconds in each frame, or a few times that."""
    clock = f"""const [frame, clock] = [requestAnimationFrame, {{ now: 0 }}]
        performance.now = () => clock.now
        requestAnimationFrame = (then) => frame((at) => {{ clock.now += {frame}; then(at) }})"""
    screen = {"width": 360, "height": 740, "deviceScaleFactor": 3, "mobile": True}
    pixels = "const canvas = document.querySelector('.live canvas'); return canvas.width / canvas.clientWidth"

    def shown(expected: int) -> None:
        wait(browser).until(lambda b: b.execute_script(pixels) == expected)

    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        with beforehand(browser, clock):
            open_widget(browser, f"{address}book/adversarial-nets.html")
            shown(2)
            press(browser, "play")
            wait(browser).until(lambda b: number(numbers(b)["g"]) > 12)  # four frames each
            shown(moving)
            press(browser, "play")
            shown(2)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.usefixtures("hurried")
def test_two_games_start_alike(browser: webdriver.Chrome, address: str) -> None:
    open_widget(browser, f"{address}book/adversarial-nets.html#figure1.compare=loss&figure1.seed=5")
    both = "return [...document.querySelectorAll('.live .live-numbers')].map((tag) => tag.textContent)"
    first, second = browser.execute_script(both)
    assert first == second
    browser.execute_async_script(PLAY_TO, 8)
    first, second = browser.execute_script(both)
    assert first != second


WRONG = {
    **{
        "k=NaN": "k=NaN",
        "k=1e9": "k=1e9",
        "k=": "k=",
        "preset=nonsense": "preset=nonsense",
        "seed=-1": "seed=-1",
    },
    **{
        "seed=2.5": "seed=2.5",
        "gRate=Infinity": "gRate=Infinity",
        "drawn=zz": "drawn=zz",
        "k=%E0%A4%A": "k=",
    },
    **{"target=__proto__": "target=__proto__", "constructor=1": "constructor=1"},
}


def test_a_wrong_address_falls_back_and_says_so(browser: webdriver.Chrome, address: str) -> None:
    values = "return [...document.querySelectorAll('.live :is(select, input)')].map((c) => c.value)"
    status = "return document.querySelector('.live-status').textContent"
    open_widget(browser, f"{address}book/adversarial-nets.html#figure1.k=7&figure1.preset=x")
    assert all(part in browser.execute_script(status) for part in ("k=7", "preset=x", "默认值"))
    usual = browser.execute_script(values), until(browser, d="0")
    browser.execute_script("location.hash = '#figure1.preset=converge&figure1.k=3&figure1.seed=2'")
    wait(browser).until(lambda b: not b.execute_script(status))
    assert (browser.execute_script(values), numbers(browser)) == usual
    for hash, named in WRONG.items():
        browser.execute_script("location.hash = `#figure1.${arguments[0]}`", hash)
        wait(browser).until(lambda b, n=named: f"地址里的 {n}" in b.execute_script(status))
        assert (browser.execute_script(values), until(browser, d="0")) == usual, hash
    press(browser, "step-d")
    until(browser, d="1")
    assert not complaints(browser)


def test_the_address_keeps_the_settings(browser: webdriver.Chrome, address: str) -> None:
    page = f"{address}book/adversarial-nets.html"
    open_widget(browser, page)
    choose(browser, "preset", "saturate")
    choose(browser, "seed", "11")
    kept = browser.current_url
    assert kept == f"{page}#figure1.preset=saturate&figure1.seed=11"
    until(browser, g="0")
    seen = numbers(browser)
    browser.get(f"{address}book/advantages.html")
    browser.back()
    browser.execute_script("document.querySelector('.live').scrollIntoView()")
    wait(browser).until(lambda b: numbers(b) == seen)
    assert browser.current_url == kept
    choose(browser, "preset", "converge")
    assert browser.current_url == page
    browser.execute_script("location.hash = '#saturation'")  # an ordinary anchor is no setting
    choose(browser, "k", "0")
    assert browser.current_url == f"{page}#figure1.k=1"


@pytest.mark.soak
def test_two_widgets_do_not_disturb_each_other(browser: webdriver.Chrome, address: str) -> None:
    open_widget(browser, f"{address}book/adversarial-nets.html#figure1.seed=3&figure12.seed=4")
    mine = numbers(browser)
    browser.execute_async_script(
        """const place = document.createElement("div"), base = new URL("../_static/live/", location.href).href
        place.id = "second"
        document.querySelector(".live").after(place)
        import(`${base}figure1.js`).then((widget) => {
            widget.mount(place, { base, prefix: "figure12" })
            place.scrollIntoView()
            arguments[0]()
        })"""
    )
    theirs = "return document.querySelector('#second .live-numbers')?.textContent"
    wait(browser).until(lambda b: b.execute_script(theirs))
    other = browser.execute_script(theirs)
    assert (
        browser.execute_script("return document.querySelector('#second input[data-key=seed]').value") == "4"
    )
    press(browser, "step-d")
    until(browser, d="1")
    choose(browser, "k", "0")
    until(browser, d="0")
    assert numbers(browser) == mine
    assert browser.execute_script(theirs) == other
    assert browser.current_url.endswith("#figure12.seed=4&figure1.k=1&figure1.seed=3")


@pytest.mark.soak
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("still", [False, True])
def test_the_cover_plays_once_and_stops(browser: webdriver.Chrome, address: str, still: bool) -> None:
    features = [{"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        open_widget(browser, f"{address}book/index.html")
        shown = set()

        def ended(b: webdriver.Chrome) -> bool:
            shown.add(numbers(b)["g"])
            return b.find_element(By.CSS_SELECTOR, ".live [data-key=play]").text == "再来一遍"

        wait(browser).until(ended)
        assert numbers(browser)["g"] == "300" and number(numbers(browser)["jsd"]) < 0.03
        assert shown <= {"0", "300"} if still else len(shown) > 5
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert not complaints(browser)


def test_p_data_is_drawn_with_a_finger_or_with_keys(browser: webdriver.Chrome, address: str) -> None:
    with seen_as(browser, width=360):
        open_widget(browser, f"{address}book/adversarial-nets.html#figure1.target=drawn")
        canvas = browser.find_element(By.CSS_SELECTOR, ".live canvas")
        browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", canvas)
        before = numbers(browser)
        box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", canvas)
        for kind, x in (("touchStart", 0.3), ("touchMove", 0.5), ("touchMove", 0.7), ("touchEnd", None)):
            points = [] if x is None else [{"x": box["x"] + x * box["width"], "y": box["y"] + 40}]
            browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        wait(browser).until(lambda b: "figure1.drawn=" in b.current_url)
        wait(browser).until(lambda b: numbers(b) and numbers(b) != before)
        drawn = browser.current_url
        canvas = browser.find_element(By.CSS_SELECTOR, ".live canvas")  # of the new game
        canvas.send_keys(Keys.ARROW_LEFT, Keys.ARROW_UP, Keys.ARROW_UP, Keys.ENTER)
        wait(browser).until(lambda b: b.current_url != drawn)
        assert not complaints(browser)


def test_keys_work_the_controls(browser: webdriver.Chrome, address: str) -> None:
    open_widget(browser, f"{address}book/adversarial-nets.html")
    browser.find_element(By.CSS_SELECTOR, ".live input[data-key=k]").send_keys(Keys.ARROW_RIGHT)
    assert browser.current_url.endswith("#figure1.k=5")
    browser.find_element(By.CSS_SELECTOR, ".live select[data-key=target]").send_keys(Keys.ARROW_DOWN)
    assert "figure1.target=mixture" in browser.current_url
    until(browser, d="0")
    browser.find_element(By.CSS_SELECTOR, ".live [data-key=step-d]").send_keys(Keys.ENTER)
    until(browser, d="1")
    browser.find_element(By.CSS_SELECTOR, ".live [data-key=step-g]").send_keys(Keys.SPACE)
    until(browser, g="1")


def test_modes_in_the_plane_are_counted(browser: webdriver.Chrome, address: str) -> None:
    open_widget(browser, f"{address}book/advantages.html#plane.speed=middle")
    assert re.fullmatch(r"[01] / 8", until(browser, d="0")["covered"])
    played = browser.execute_async_script(PLAY_TO, 3)
    assert (played["d"], played["g"]) == ("3", "3")
    choose(browser, "target", "grid")
    assert until(browser, d="0", g="0")["covered"].endswith(" / 25")
    assert not complaints(browser)
