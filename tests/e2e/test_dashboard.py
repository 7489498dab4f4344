"""The dashboard in a real browser: against made-up answers for states that take hours, and against the programs."""

import os
import pathlib
import re

import pytest
from browser import Watched, chromium
from fake_coordinator import FakeCoordinator, ago, job, worker
from service import wait_for

SOURCE = pathlib.Path(os.environ["MDGEN_SOURCE_DIR"])
PAGES = ["#/jobs", "#/jobs/job-000001", "#/jobs/job-000002", "#/jobs/job-000004", "#/workers", "#/queue"]


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def fake():
    with FakeCoordinator(SOURCE) as coordinator:
        coordinator.fill()
        yield coordinator


@pytest.fixture
def watch(browser):
    """`watch()` makes a page; at the end none may have complained."""
    made = []

    def make(**options):
        made.append(Watched(browser, **options))
        return made[-1]

    yield make
    for one in made:
        complaints = list(one.complaints)
        one.close()
        assert complaints == []


def show(watched, fake, fragment):
    watched.page.goto(fake.url + fragment)
    watched.page.wait_for_selector("#connection[data-state=good]")
    watched.page.wait_for_selector("h1")
    return watched.page


def until(page, expression, argument=None):
    """Waits until it is true. (wait_for_function would need eval, which the page's policy forbids.)"""
    wait_for(lambda: page.evaluate(expression, argument), 15, expression)


def texts(page, selector):
    return [text.strip() for text in page.locator(selector).all_text_contents()]


def test_jobs_are_listed(watch, fake):
    page = show(watch(), fake, "")
    assert page.title() == "Jobs · MDGen training"
    rows = page.locator("tbody tr")
    assert rows.count() == 5
    first = rows.nth(0).inner_text()
    for part in ["atlas-forward-1", "job-000001", "Running", "1,240 of 4,000 steps", "31 %", "0.123", "1 h 23 min", "ada"]:
        assert part in first
    assert rows.nth(0).get_by_role("progressbar").get_attribute("aria-valuenow") == "31"
    assert "No. 1 in the queue" in rows.nth(1).inner_text()
    assert "PoisonStep" in rows.nth(3).inner_text()


def test_a_job_has_all_its_parts(watch, fake):
    watched = watch()
    page = show(watched, fake, "#/jobs/job-000001")
    until(page, "document.querySelectorAll('.chart .curve').length >= 7")
    head = page.locator("#head").inner_text()
    for part in ["atlas-forward-1", "Running", "31.0 % · step 1,240 of 4,000", "1 h 23 min left", "41.0 %", "97.2 %", "4 of 10", "51.2k"]:
        assert part in head
    assert page.locator("#phases .stack .part").count() == 6
    assert "backward 620 ms (50 %)" in page.locator("#phases").inner_text()
    assert "other 60 ms (5 %)" in page.locator("#phases").inner_text()
    ranks = page.locator("#ranks tbody tr")
    assert ranks.count() == 4 and "Straggler" in ranks.nth(2).inner_text() and "7.5 s ago" in ranks.nth(3).inner_text()
    recoveries = page.locator("#recoveries li:has(.stack)")
    assert recoveries.count() == 2 and "WorkerLost" in recoveries.nth(0).inner_text()  # the newest first
    assert "wait 2.4 s" in recoveries.nth(0).locator(".stack").get_attribute("aria-label")
    assert "state from memory of rank 0" in recoveries.nth(0).inner_text()
    widths = [float(re.search(r"width: ([\d.]+)%", s).group(1)) for s in recoveries.nth(0).locator(".part").evaluate_all("all => all.map(e => e.style.cssText)")]
    assert sum(widths) == pytest.approx(100, abs=0.1) and max(widths) == pytest.approx(100 * 2.4 / 4.36, abs=0.5)
    checkpoints = page.locator("#checkpoints tbody tr")
    assert checkpoints.count() == 3 and "newest good" in checkpoints.nth(0).inner_text()
    assert "12 bytes short" in checkpoints.nth(2).inner_text()
    assert page.locator("#events tbody tr").count() == 3
    assert "step 299 loss" in page.locator("#log-text").inner_text()
    assert page.locator("#samples .rama").count() == 2 and page.locator("#samples .rama rect.cell.sampled").count() > 50
    assert "Jensen-Shannon distance of the angles 0.210" in page.locator("#samples").inner_text()
    assert page.locator("#chart-rmsf .curve").count() == 2
    page.get_by_text("Every value").click()
    assert "  data_dir: \"/data/atlas\"" in page.locator("#spec-text").inner_text()
    assert all(url.startswith(fake.url) for url in watched.requests)


def test_workers_and_queue(watch, fake):
    watched = watch()
    page = show(watched, fake, "#/workers")
    assert "5 workers, 1 free" in page.locator("main").inner_text()
    rows = page.locator("tbody tr")
    assert rows.count() == 5 and "Straggler" in rows.nth(2).inner_text() and "Free" in rows.nth(4).inner_text()
    page.get_by_role("link", name="Queue").click()
    page.wait_for_selector("h1:has-text('Queue')")
    assert page.locator("#pages a[aria-current=page]").inner_text() == "Queue"
    assert "needs 4 workers; 1 is free" in page.locator("tbody").inner_text()


def test_empty_pages_say_so(watch, fake):
    fake.jobs, fake.workers, fake.queue = [], [], []
    watched = watch()
    for fragment, text in [("", "No jobs yet"), ("#/workers", "No workers are connected"), ("#/queue", "No job waits")]:
        assert text in show(watched, fake, fragment).locator("main").inner_text()
    with fake.lock:
        fake.jobs = [job(9, state="VALIDATING", step=0, total_steps=0, progress=0, ranks=[], step_times=None, checkpoint=None, loss=None, first_loss=None)]
        fake.events, fake.checkpoints, fake.logs, fake.samples = [], [], {0: ""}, {"samples": [], "picture": None}
    page = show(watched, fake, "#/jobs/job-000009")
    until(page, "document.querySelector('#checkpoints')?.innerText.includes('None written yet')")
    text = page.locator("main").inner_text()
    for part in ["not started yet", "Nothing measured yet", "No trainers now", "Nothing had to be recovered from", "This rank has written nothing yet", "None drawn"]:
        assert part in text
    assert texts(page, ".chart svg text").count("No values yet") == 4


def test_what_is_not_there(watch, fake):
    watched = watch()
    page = show(watched, fake, "#/jobs/nobody")
    page.wait_for_selector(".problem")
    assert "Not found" in page.locator("main").inner_text()
    assert all("404" in one for one in watched.complaints)  # the browser's own line
    watched.complaints.clear()
    page.goto(fake.url + "#/elsewhere")
    page.wait_for_selector("text=There is no such page")


def test_a_running_job_is_brought_up_to_date_in_place(watch, fake):
    page = show(watch(), fake, "#/jobs/job-000001")
    until(page, "document.querySelectorAll('#chart-loss .curve').length === 2")
    page.evaluate("window.same = document.querySelector('#head h1')")
    page.get_by_text("1 warning").click()
    page.locator("#log-text").evaluate("e => { e.scrollTop = 0 }")
    until(page, "!document.querySelector('#log-follow').checked")
    page.locator("#smoothing").focus()
    before = page.locator("#chart-loss .curve.s1").get_attribute("d")
    with fake.lock:
        fake.jobs[0].update(step=1300, progress=0.325, loss=0.0999, state="CHECKPOINTING")
        fake.logs[0] += "one more line\n"
        fake.events.append({"sequence": 4, "at": ago(0), "kind": "Checkpoint", "reason": "Written", "message": "step 1300", "state": "CHECKPOINTING", "actor": ""})
    until(page, "document.querySelector('#head').innerText.includes('step 1,300 of 4,000')")
    until(page, "document.querySelector('#events').innerText.includes('step 1300')")
    until(page, "document.querySelector('#log-text').textContent.includes('one more line')")
    until(page, "d => document.querySelector('#chart-loss .curve.s1').getAttribute('d') !== d", before)
    assert "Checkpointing" in page.locator("#head").inner_text()
    assert page.locator("#said").inner_text() == "atlas-forward-1 is Checkpointing"
    assert page.evaluate("window.same === document.querySelector('#head h1')"), "the page was made anew"
    assert page.evaluate("document.activeElement.id") == "smoothing"
    assert page.evaluate("document.querySelector('details.notice').open")
    assert page.locator("#log-text").evaluate("e => e.scrollTop") == 0
    whole = [path for method, path, _ in fake.requests if "/metrics?" in path and "after_step" in path and not path.endswith("after_step=0&max_points=1000")]
    assert whole and "after_step=1240" in whole[-1], "only new steps are asked for"


def test_a_rollback_draws_the_curves_anew(watch, fake):
    page = show(watch(), fake, "#/jobs/job-000001")
    until(page, "document.querySelector('#chart-loss .readout').innerText.includes('training')")
    with fake.lock:
        fake.jobs[0].update(step=100, generation=4)
    until(page, "document.querySelectorAll('#chart-loss .at').length === 1")
    page.locator("#chart-loss svg").focus()
    until(page, """() => { document.querySelector('#chart-loss svg').dispatchEvent(new KeyboardEvent('keydown', {key: 'End'}));
                   return document.querySelector('#chart-loss .readout').innerText.startsWith('step 100') }""")


def test_unchanged_answers_are_not_sent_again(watch, fake):
    page = show(watch(), fake, "#/workers")
    page.wait_for_timeout(2500)
    again = [headers for method, path, headers in fake.requests if path == "/v1/workers"][1:]
    assert again and all("If-None-Match" in headers for headers in again)


def test_a_thousand_jobs(watch, fake):
    fake.jobs = [job(i, state="FAILED" if i % 10 == 0 else "SUCCEEDED", name=f"{'tps' if i % 4 == 0 else 'sim'}-{i}", ranks=[]) for i in range(1000, 0, -1)]
    watched = watch()
    page = show(watched, fake, "")
    assert page.locator("tbody tr").count() == 50
    assert all("page_size=50" in path for _, path, _ in fake.requests if path.startswith("/v1/jobs?"))
    older = page.get_by_role("button", name="Older")
    older.focus()
    page.keyboard.press("Enter")
    until(page, "document.querySelector('tbody tr').innerText.includes('-950')")
    assert "Page 2" in page.locator("main").inner_text()
    assert page.evaluate("document.activeElement.id") == "older"
    page.locator("#filter-name").fill("tps-9")
    until(page, "[...document.querySelectorAll('tbody .title')].every(e => e.innerText.startsWith('tps-9'))")
    page.locator("#filter-state").select_option(label="Failed")
    until(page, "[...document.querySelectorAll('tbody .badge')].every(e => e.innerText.includes('Failed'))")
    assert page.locator("tbody tr").count() == 5  # 980, 960, …, 900
    assert "1,000" not in page.locator("#said").inner_text() and page.locator("#said").inner_text() == "5 jobs shown"
    assert page.url.endswith("#/jobs?name=tps-9&state=failed")
    page.reload()
    page.wait_for_selector("tbody tr")
    assert page.locator("tbody tr").count() == 5, "filters stand in the address"
    page.locator("#filter-name").fill("nothing")
    page.wait_for_selector("text=No job matches these filters")


def background(page):
    return [int(x) for x in re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]]


def test_light_and_dark(watch, fake):
    dark = show(watch(color_scheme="dark"), fake, "")
    assert sum(background(dark)) < 150
    light = show(watch(color_scheme="light"), fake, "")
    assert sum(background(light)) > 600
    button = light.locator("#theme-button")
    button.click()
    assert button.inner_text() == "Theme: light"
    button.click()
    assert button.inner_text() == "Theme: dark" and sum(background(light)) < 150
    light.reload()
    light.wait_for_selector("tbody tr")
    assert sum(background(light)) < 150, "the choice is kept"


CONTRAST = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = channels(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.closest('svg, .unseen, :disabled, option')) continue;
    const [a, b] = [light(channels(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(`${e.className} "${e.textContent.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return bad;
}"""

STRUCTURE = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const bad = [];
  for (const e of all('input, select')) if (!e.labels?.length) bad.push(`no label: ${e.id}`);
  for (const e of all('button, a')) if (!(e.innerText || e.getAttribute('aria-label'))) bad.push(`no name: ${e.outerHTML}`);
  for (const e of all('[tabindex]')) if (e.tabIndex > 0) bad.push(`tabindex: ${e.outerHTML}`);
  for (const e of all('[style]')) if (e.attributes.style && !e.style.length) bad.push('empty style');
  const ids = all('[id]').map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) bad.push(`twice: ${id}`);
  for (const e of all('[aria-labelledby]')) if (!document.getElementById(e.getAttribute('aria-labelledby'))) bad.push(`no label ${e.outerHTML.slice(0, 60)}`);
  if (all('h1').length !== 1) bad.push(`h1: ${all('h1').length}`);
  return bad;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_structure_and_narrow_screens(watch, fake, scheme):
    watched = watch(width=360, height=740, color_scheme=scheme)
    for fragment in PAGES:
        page = show(watched, fake, fragment)
        if "job-" in fragment:
            page.wait_for_selector("#samples .rama")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, fragment
        assert page.evaluate(CONTRAST) == [], fragment
        assert page.evaluate(STRUCTURE) == [], fragment


def walk(page, most=200):
    """What Tab reaches, by id or text, until it is round."""
    seen = []
    for _ in range(most):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => { const e = document.activeElement; window.places ??= new Map();
            if (e === document.body) return null;
            const ring = getComputedStyle(e).outlineStyle !== 'none' && parseFloat(getComputedStyle(e).outlineWidth) >= 2;
            const again = places.has(e); places.set(e, 1);
            return { again, ring, what: e.id || e.innerText || e.getAttribute('aria-label') || e.tagName }; }""")
        if here is None or here["again"]:
            break
        assert here["ring"], f"no focus ring on {here['what']}"
        seen.append(here["what"])
    return seen


def test_by_keyboard_alone(watch, fake):
    page = show(watch(), fake, "")
    seen = walk(page)
    assert seen[0] == "skip"
    for control in ["Jobs", "Workers", "Queue", "theme-button", "filter-name", "filter-state", "filter-owner", "filter-labels", "atlas-forward-1"]:
        assert control in seen
    page.locator("tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#samples .rama")
    assert page.evaluate("document.activeElement.id") == "view", "a new page begins at its content"
    page.reload()
    page.wait_for_selector("#samples .rama")
    reached = walk(page)
    focusable = page.evaluate("""() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
        .filter((e) => e.checkVisibility()).filter((e) => !window.places.has(e)).map((e) => e.outerHTML.slice(0, 80))""")
    assert focusable == [] and len(reached) > 30

    chart = page.locator("#chart-loss svg")
    chart.focus()
    page.keyboard.press("Home")
    assert page.locator("#chart-loss .readout").inner_text().startswith("step 1")
    page.keyboard.press("ArrowRight")
    assert page.locator("#chart-loss .readout").inner_text().startswith("step 2")
    assert page.locator("#chart-loss .readout").get_attribute("aria-live") == "polite"
    page.keyboard.press("Escape")
    assert page.locator("#chart-loss .readout").inner_text().startswith("latest")
    page.locator("#chart-loss summary").focus()
    page.keyboard.press("Enter")
    rows = page.locator("#chart-loss tbody tr")
    until(page, "document.querySelectorAll('#chart-loss tbody tr').length > 20")
    assert rows.count() <= 40 and rows.last.locator("th").inner_text() == "1,240"

    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog", state="detached")
    assert page.evaluate("document.activeElement.innerText") == "Cancel"
    assert not any(method == "POST" for method, *_ in fake.requests)


def test_curves_have_a_logarithmic_axis_smoothing_and_a_readout(watch, fake):
    page = show(watch(), fake, "#/jobs/job-000001")
    until(page, "document.querySelectorAll('#chart-loss .curve').length === 2")
    curve = page.locator("#chart-loss .curve.s1")
    plain = curve.get_attribute("d")
    assert plain.count("M") == 2, "the value that was not finite is a gap"
    page.locator("#chart-loss-log").check()
    logarithmic = curve.get_attribute("d")
    assert logarithmic != plain
    page.locator("#smoothing").fill("0.9")
    assert curve.get_attribute("d") != logarithmic and page.locator("#chart-loss .raw.s1").count() == 1
    box = page.locator("#chart-loss svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    text = page.locator("#chart-loss .readout").inner_text()
    assert re.match(r"step [56]\d\d ", text) and "training" in text


def test_a_lost_connection_is_told_and_mended(watch, fake):
    watched = watch()
    page = show(watched, fake, "#/jobs/job-000001")
    until(page, "document.querySelectorAll('#chart-loss .curve').length === 2")
    fake.stop()
    page.wait_for_selector("#banner:not([hidden])")
    assert re.match(r"Connection lost since \d\d:\d\d:\d\d: the coordinator does not answer", page.locator("#banner").inner_text())
    assert page.locator("#banner").get_attribute("role") == "alert"
    assert page.locator("#connection-text").inner_text() == "Connection lost"
    assert "atlas-forward-1" in page.locator("#head").inner_text(), "what was known stays"
    fake.jobs[0]["step"] = 1500
    fake.start()
    page.locator("#try-now").click()
    until(page, "document.querySelector('#head').innerText.includes('step 1,500')")
    page.wait_for_selector("#banner", state="hidden")  # once the job's parts are there as well
    assert page.locator("#connection-text").inner_text() == "Live"
    assert all("ERR_" in one for one in watched.complaints), watched.complaints  # the browser's own lines
    watched.complaints.clear()


def test_a_hidden_tab_asks_for_nothing(watch, fake):
    watched = watch()
    watched.page.add_init_script("window.away = false; Object.defineProperty(document, 'hidden', { get: () => window.away })")
    page = show(watched, fake, "#/workers")
    page.evaluate("window.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(300)
    count = len(fake.requests)
    page.wait_for_timeout(4500)
    assert len(fake.requests) == count and page.locator("#connection-text").inner_text() == "Paused"
    fake.workers.append(worker(77))
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("text=worker-77")


EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def test_what_others_wrote_stays_text(watch, fake):
    evil = job(1, name=f"{EVIL}1", message=EVIL, reason=EVIL, owner=EVIL, labels={EVIL: EVIL}, run_folder=EVIL, warnings=[EVIL], state="RUNNING",
               queue={"position": 1, "reason": EVIL, "message": EVIL, "since": ago(1)}, spec={"name": EVIL, EVIL: {"deep": EVIL}})
    evil["ranks"][0].update(host=EVIL, worker_id=EVIL)
    evil["recoveries"] = [{**evil_recovery, "reason": EVIL, "message": EVIL, "host": EVIL, "source": EVIL} for evil_recovery in fake.jobs[0]["recoveries"]]
    fake.jobs = [evil]
    fake.workers = [worker(1, host=EVIL, id=EVIL, labels={"a": EVIL}, device=EVIL, version=EVIL, state=EVIL, job_id=EVIL)]
    fake.queue[0].update(name=EVIL, owner=EVIL, job_id=EVIL)
    fake.events[0].update(message=EVIL, reason=EVIL, kind=EVIL, actor=EVIL)
    fake.checkpoints[0].update(name=EVIL, problem=EVIL)
    fake.logs = {0: EVIL + "\n"}
    fake.samples["samples"][0].update(name=EVIL)
    fake.samples["picture"].update(note=EVIL)
    watched = watch()
    for fragment in ["", "#/jobs/job-000001", "#/workers", "#/queue", f"#/jobs/{EVIL}", "#/<script>"]:
        watched.page.goto(fake.url + fragment)
        watched.page.wait_for_timeout(700)
        assert watched.page.evaluate("window.hacked") is None
        assert watched.page.locator("main img, main script").count() == 0
        if fragment in ("", "#/jobs/job-000001", "#/workers", "#/queue"):
            assert "<img src=x onerror=" in watched.page.locator("main").inner_text()
    assert not any(url.endswith("/x") for url in watched.requests)
    watched.complaints[:] = [one for one in watched.complaints if "404" not in one]  # of the job that is none


def test_read_only_without_a_token_and_actions_with_one(watch, fake):
    fake.tokens = {"look": "VIEWER", "rule": "ADMIN"}
    watched = watch()
    page = watched.page
    page.goto(fake.url + "#/jobs/job-000001")
    page.wait_for_selector("text=The coordinator asks for a token")
    assert all("401" in one for one in watched.complaints)

    def use(text):
        page.locator("#token-button").click()
        page.get_by_label("Token", exact=True).fill(text)
        page.locator("#dialog-confirm").click()

    use("look")
    page.wait_for_selector("#job-name")
    assert page.locator("#token-button").inner_text() == "Token: viewer"
    assert page.get_by_role("group", name="Actions").count() == 0
    use("rule")
    page.get_by_role("button", name="Pause").click()
    page.locator("dialog #dialog-confirm").click()
    page.wait_for_selector("text=atlas-forward-1 is to pause")
    until(page, "document.querySelector('#head .badge').innerText.includes('Paused')")
    page.get_by_role("button", name="Priority").click()
    page.get_by_role("spinbutton", name="Priority").fill("7")
    page.locator("dialog #dialog-confirm").click()
    until(page, "[...document.querySelectorAll('.tile')].some(e => e.innerText.startsWith('Priority') && e.innerText.includes('7'))")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_label("Seconds").fill("0")
    page.locator("dialog #dialog-confirm").click()
    until(page, "document.querySelector('#head .badge').innerText.includes('Cancelled')")
    posted = [(path, content) for method, path, content in fake.requests if method == "POST"]
    assert posted == [("/v1/jobs/job-000001/pause", {}), ("/v1/jobs/job-000001/update", {"priority": 7}), ("/v1/jobs/job-000001/cancel", {"grace_seconds": 0})]
    page.goto(fake.url + "#/workers")
    page.get_by_role("button", name="Drain").first.click()
    page.locator("dialog #dialog-confirm").click()
    until(page, "document.querySelector('#said').innerText.includes('draining')")
    assert fake.requests[-1][1] == "/v1/workers/worker-1/drain" or any(path == "/v1/workers/worker-1/drain" for _, path, _ in fake.requests)
    assert page.evaluate("[sessionStorage.getItem('mdgen-token'), JSON.stringify(localStorage)]") == ["rule", "{}"]
    assert not any("rule" in url for url in watched.requests), "a token never stands in an address"
    use("")
    page.wait_for_selector("text=The coordinator asks for a token")
    watched.complaints[:] = [one for one in watched.complaints if "401" not in one]


def test_the_pure_functions(watch, fake):
    page = show(watch(), fake, "")
    result = page.evaluate("""async () => {
      const [format, scale, live, curves] = await Promise.all(['format', 'scale', 'live', 'curves'].map((m) => import(`/dashboard/${m}.js`)));
      return {
        numbers: [0, 0.01234, 1.5, 123.4, 51234, 2.4e12, 1e-5, NaN, null].map(format.number),
        short: [0.5, 1, 50000, 1e-4, 100].map(format.short),
        durations: [0, 0.00061, 0.02, 1.25, 42, 200, 4980, 200000].map(format.duration),
        ticks: scale.ticks(0.1, 1.02, 4), steps: scale.ticks(1, 1240, 4), logs: scale.logTicks(0.01, 10),
        flat: scale.range([5, 5], false), none: scale.range([null, NaN], false), positive: scale.range([-1, 0, 2, 8], true),
        smooth: scale.smooth([1, 1, null, 1], 0.9), nearest: [0, 4, 6, 99].map((s) => scale.nearest([1, 5, 9], s)),
        waits: [1, 2, 3, 9].map((n) => live.backOff(n, 1000, 0.5)),
        joined: curves.joined({ steps: [1, 2], values: [3, 4] }, { steps: [2, 3], values: [9, 5] }),
      };
    }""")
    assert result["numbers"] == ["0", "0.0123", "1.50", "123", "51.2k", "2.40T", "1.00e-5", "–", "–"]
    assert result["short"] == ["0.5", "1", "50k", "1e-4", "100"]
    assert result["durations"] == ["0 s", "0.61 ms", "20 ms", "1.3 s", "42 s", "3 min 20 s", "1 h 23 min", "2 d 7 h"]
    assert result["ticks"] == [0.2, 0.4, 0.6, 0.8, 1.0] and result["steps"] == [500, 1000]
    assert result["logs"] == [0.01, 0.03, 0.1, 0.3, 1, 3, 10]
    assert result["flat"] == [4.5, 5.5] and result["none"] is None and result["positive"] == [2, 8]
    assert result["smooth"] == [pytest.approx(1), pytest.approx(1), None, pytest.approx(1)] and result["nearest"] == [0, 1, 1, 2]
    assert result["waits"] == [1000, 2000, 4000, 20000]
    assert result["joined"] == {"steps": [1, 2, 3], "values": [3, 4, 5]}
