"""The dashboard of a real coordinator, with workers that train."""

import json
import pathlib
import signal
import urllib.request

import pytest
from browser import Watched, chromium
from fake_coordinator import job as made_up_job
from fake_coordinator import worker as made_up_worker
from service import Service, make_dataset, wait_for

SMALL = (
    "--sim_condition --prepend_ipa --atlas --num_frames 8 --crop 24 --embed_dim 32 --num_layers 1 --mha_heads 4 --ipa_heads 2 "
    "--ipa_head_dim 8 --ipa_qk 4 --ipa_v 4 --batch_size 2 --lr 1e-3 --epochs 1000 --val_repeat 2 --train_repeat 20 --global_batch_size 4 "
    "--every_steps 20 --inference_batches 1 --designability_freq 1 --sampling_method euler --ode_steps 4"
).split()


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 3, "--lengths", "16,24,40", "--frames", 40, "--replicas", 3)
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service"), workers=2) as running:
        yield running


def submit(service, data, name, steps):
    paths = f"--name {name} --work_dir {service.folder / 'runs'} --train_split {data / 'train.csv'} --val_split {data / 'val.csv'} --data_dir {data / 'data'}"
    return service.submit("--set", "workers.min=2", "--set", "workers.max=2", "--", *paths.split(), "--max_steps", steps, *SMALL)


def until(page, expression, seconds=30):
    wait_for(lambda: page.evaluate(expression), seconds, expression)


def get(service, path):
    with urllib.request.urlopen(f"http://{service.http}{path}") as answer:
        return json.load(answer)


def test_a_job_from_its_submission_to_its_end(browser, service, data):
    watched = Watched(browser)
    page = watched.page
    page.goto(f"http://{service.http}/")
    page.wait_for_selector("text=No jobs yet")
    page.evaluate("window.same = true")
    job = submit(service, data, "watched", 400)
    page.wait_for_selector("tbody tr")
    page.get_by_role("link", name="watched").click()
    page.wait_for_selector("#job-name")
    until(page, "document.querySelector('#head').innerText.includes('Running')", 60)
    until(page, "document.querySelectorAll('#ranks tbody tr').length === 2")
    until(page, "document.querySelector('#head .badge').innerText.includes('Succeeded')", 120)
    assert page.evaluate("window.same"), "the page was loaded again"
    until(page, "document.querySelector('#head').innerText.includes('step 400 of 400')")
    until(page, "document.querySelectorAll('#checkpoints tbody tr').length >= 1")
    assert "newest good" in page.locator("#checkpoints tbody tr").first.inner_text()
    until(page, "document.querySelector('#events').innerText.includes('Succeeded')")
    until(page, "document.querySelector('#log-text').textContent.length > 100")
    until(page, "document.querySelectorAll('#chart-loss .curve').length === 2")
    for chart in ["loss", "grad", "throughput", "lr"]:
        assert "M" in page.locator(f"#chart-{chart} .curve.s1").get_attribute("d"), chart
    until(page, "document.querySelectorAll('#samples .rama').length === 2")
    assert page.locator("#samples .cell.sampled").count() > 5
    assert "beside" in page.locator("#samples").inner_text() and page.locator("#samples .notice").count() == 0
    assert page.locator("#chart-rmsf .curve").count() == 2
    page.goto(f"http://{service.http}/#/workers")
    until(page, "document.querySelectorAll('tbody tr').length === 2")
    page.goto(f"http://{service.http}/#/queue")
    page.wait_for_selector("text=No job waits for workers")
    assert watched.complaints == []
    assert all(url.startswith(f"http://{service.http}/") for url in watched.requests)
    watched.close()
    listed = get(service, f"/v1/jobs/{job}/samples")
    assert {sample["file"] for sample in listed["samples"]} == {file.name for file in pathlib.Path(get(service, f"/v1/jobs/{job}")["run_folder"]).glob("epoch*.pdb")}


def test_the_made_up_answers_have_the_real_fields(service, data):
    job = get(service, "/v1/jobs")["jobs"][0]
    assert set(job) == set(made_up_job())
    assert set(get(service, "/v1/workers")["workers"][0]) == set(made_up_worker(1))


def test_a_job_is_cancelled_from_the_page(browser, service, data):
    job = submit(service, data, "stopped", 100000)
    watched = Watched(browser)
    page = watched.page
    page.goto(f"http://{service.http}/#/jobs/{job}")
    until(page, "document.querySelector('#head')?.innerText.includes('Running')", 60)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_label("Seconds").fill("30")
    page.locator("#dialog-confirm").click()
    until(page, "document.querySelector('#head .badge').innerText.includes('Cancelled')", 60)
    assert service.status(job)["state"] == "CANCELLED"
    assert watched.complaints == []
    watched.close()


def test_the_page_survives_a_coordinator_that_is_killed(browser, service):
    watched = Watched(browser)
    page = watched.page
    page.goto(f"http://{service.http}/#/jobs")
    page.wait_for_selector("tbody tr")
    listen, http = service.address, service.http
    service.coordinator.stop(signal.SIGKILL)
    page.wait_for_selector("#banner:not([hidden])")
    assert page.locator("tbody tr").count() >= 2
    service.start_coordinator(listen, http)
    page.wait_for_selector("#banner", state="hidden", timeout=30000)
    assert page.locator("#connection-text").inner_text() == "Live"
    assert all("ERR_" in one for one in watched.complaints), watched.complaints
    watched.close()
