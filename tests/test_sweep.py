"""Sweeps on a real local cluster: what is done once, goes on elsewhere, fails alone; and their table."""

import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from distributed import Client, LocalCluster
from filelock import FileLock

import gan
import gan.__main__
from gan import runs, sweep
from gan.book.commands import values

TINY = {"g_hidden": [[8, 8]], "d_hidden": [[8]], "d_pieces": [2], "batch_size": [300], "epochs": [2]}
HOW = {"progress": False, "split": "none"}
LONG = TINY | {"epochs": [60]}
NAME = sweep.training("digits", "none", {}, {field: value for field, (value,) in LONG.items()}).made


def hurry():
    """Write a checkpoint after every epoch: in a worker."""
    gan.keeping.Checkpoints.due = lambda self, end: end


@pytest.fixture(scope="module")
def cluster():
    """Two workers, processes of one thread each."""
    how = {"dashboard_address": ":0", "silence_logs": "CRITICAL"}
    with LocalCluster(n_workers=2, threads_per_worker=1, **how) as cluster:
        yield cluster


@pytest.fixture
def quick(cluster):
    """The cluster, whose workers keep and look often."""
    with Client(cluster) as client:
        client.wait_for_workers(2)
        client.run(hurry)
    return cluster


def alone(folder, **fields):
    """The same training in this process."""
    fixed = {name: value for name, (value,) in TINY.items()}
    return gan.train(gan.recipe("digits", **fixed | fields), folder, progress=False)


def assert_equal(folder, run, within=0.0):
    """Bit for bit: all weights, momenta and random numbers, and the history but for its seconds.

    ``within`` is what the rounding of sums may do where seeds are trained in one batch.
    """
    ours, theirs = (runs.Run.load(one).state for one in (folder, run.folder))
    assert torch.equal(ours["random"]["cpu"], theirs["random"]["cpu"])
    for part in ("generator", "discriminator"):
        for key, value in ours[part].items():
            torch.testing.assert_close(value, theirs[part][key], rtol=0, atol=within)
    momenta = (one["d_optimizer"]["state"][0]["momentum_buffer"] for one in (ours, theirs))
    torch.testing.assert_close(*momenta, rtol=0, atol=within)
    history = gan.Run.load(folder).history.drop(columns="seconds")
    pd.testing.assert_frame_equal(history, run.history.drop(columns="seconds"), rtol=0, atol=within)


def after_epoch(record, epoch, then):
    """A thread that does ``then`` as soon as the run of ``record`` has had ``epoch``."""

    def wait():
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if sweep.epochs(record.with_name(record.name.removesuffix(".json"))) >= epoch:
                then(json.loads(record.read_text()))
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_every_combination_is_a_run_as_if_trained_alone_and_trained_once(cluster, tmp_path):
    grid = TINY | {"seed": [3, 1], "loss": ["minimax", "non_saturating"]}
    table = sweep.run("digits", grid, tmp_path / "s", scheduler=cluster, progress=False, split="test")
    assert table[["seed", "loss"]].to_numpy().tolist() == [
        [3, "minimax"], [3, "non_saturating"], [1, "minimax"], [1, "non_saturating"],
    ]  # fmt: skip
    assert set(table["status"]) == {"finished"} and set(table["worker"]) <= {"0", "1"}
    assert table["seconds"].gt(0).all() and set(table["machine"]) == {os.uname().nodename}
    assert table["g_hidden"].tolist() == [(8, 8)] * 4
    run = alone(tmp_path / "alone", seed=1, loss="minimax")
    folder = tmp_path / "s" / table.index[2]
    assert_equal(folder, run, within=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert table["mean"].iloc[2] == pytest.approx(run.estimate()["mean"], abs=1e-3)
    assert table["value"].iloc[2] == pytest.approx(run.history["value"].iloc[-1], abs=1e-5)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.glob("s/*/checkpoint.pt")}
    more = grid | {"seed": [1, 3, 4]}  # and a larger grid does only what is new
    table = sweep.run("digits", more, tmp_path / "s", scheduler=cluster, **HOW)
    assert table["attempts"].tolist() == [1] * 6
    assert {path: path.stat().st_mtime_ns for path in written} == written
    nowhere = sweep.run("digits", more, tmp_path / "s", scheduler="tcp://127.0.0.1:1", **HOW)
    assert nowhere.equals(table) and sweep.load(tmp_path / "s").equals(table)


@pytest.mark.slow
def test_the_run_of_a_killed_worker_moves_and_is_the_same_bit_for_bit(quick, tmp_path):
    killed = []

    def kill(told):
        killed.append(told)
        os.kill(quick.workers[int(told["worker"])].pid, signal.SIGKILL)

    thread = after_epoch(tmp_path / "s" / f"{NAME}.json", 5, kill)
    table = sweep.run("digits", LONG, tmp_path / "s", scheduler=quick, **HOW)
    thread.join()
    (row,) = table.to_dict("records")
    assert row["status"] == "finished" and row["attempts"] == 2 and row["worker"] != killed[0]["worker"]
    assert row["seconds"] > 0
    assert_equal(tmp_path / "s" / NAME, alone(tmp_path / "alone", epochs=60))


@pytest.mark.soak
def test_what_was_stopped_stops_on_the_cluster_too_and_goes_on(quick, tmp_path):
    longer, name = LONG | {"epochs": [200]}, NAME.replace("epochs=60", "epochs=200")
    main = threading.main_thread().ident
    stop = lambda told: signal.pthread_kill(main, signal.SIGINT)  # noqa: E731  # wakes it, as Ctrl-C does
    after_epoch(tmp_path / "s" / f"{name}.json", 3, stop)
    with pytest.raises(KeyboardInterrupt):
        sweep.run("digits", longer, tmp_path / "s", scheduler=quick, **HOW)
    with FileLock(tmp_path / "s" / name / ".lock", timeout=60):  # the worker lets go of it
        stopped = sweep.load(tmp_path / "s").iloc[0]
    assert stopped["status"] == "unfinished" and 3 <= stopped["epoch"] < 200
    table = sweep.run("digits", longer, tmp_path / "s", scheduler=quick, **HOW)
    assert table["status"].tolist() == ["finished"] and table["attempts"].tolist() == [2]
    assert_equal(tmp_path / "s" / name, alone(tmp_path / "alone", epochs=200))


@pytest.mark.slow
def test_what_fails_is_tried_again_told_and_stops_no_other(cluster, tmp_path):
    grid = TINY | {"dataset": ["digits", "mine"], "batch_size": [300, 5000], "epochs": [1]}
    how = {"scheduler": cluster, "data_dir": tmp_path, **HOW}
    with pytest.warns(UserWarning, match="failed: ValueError: ") as told:
        table = sweep.run("digits", grid, tmp_path / "s", retries=1, **how)
    assert len(told) == 3 and not any("\n" in str(one.message) for one in told)
    assert table["status"].tolist() == ["finished", "failed", "failed", "failed"]
    assert table["attempts"].tolist() == [1, 2, 2, 2]
    assert "there is no data set 'mine'" in table["error"].iloc[1]  # on a worker
    assert "digits has 1200" in table["error"].iloc[2]
    images = np.zeros((1200, 8, 8), np.uint8) + np.arange(1200, dtype=np.uint8)[:, None, None]
    np.savez(tmp_path / "mine.npz", x_train=images, x_test=images)
    with pytest.warns(UserWarning, match="batch_size = 5000") as told:
        table = sweep.run("digits", grid, tmp_path / "s", **how)
    assert len(told) == 2
    assert table["status"].tolist() == ["finished", "finished", "failed", "failed"]
    assert table["attempts"].tolist() == [1, 3, 3, 3]


@pytest.mark.soak
def test_a_worker_of_many_threads_trains_one_run_at_a_time(tmp_path):
    how = {"processes": False, "dashboard_address": ":0"}
    with LocalCluster(n_workers=1, threads_per_worker=4, **how) as cluster:
        table = sweep.run(
            "digits",
            TINY | {"updates": ["alternating"], "k": range(1, 5)},
            tmp_path / "s",
            scheduler=cluster,
            **HOW,
        )
    assert table["status"].tolist() == ["finished"] * 4
    for k in range(1, 5):
        assert_equal(
            tmp_path / "s" / table.index[k - 1], alone(tmp_path / f"alone-{k}", updates="alternating", k=k)
        )


@pytest.mark.soak
def test_without_dask_it_runs_in_processes_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"without dask .*pip install '\.\[sweep\]'"):
        table = sweep.run("digits", TINY, tmp_path / "s", workers=1, **HOW)
    assert table["status"].tolist() == ["finished"] and table["worker"].iloc[0].startswith("SpawnProcess-")
    assert_equal(tmp_path / "s" / table.index[0], alone(tmp_path / "alone"))
    for option in ({"memory": "1GB"}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(ValueError, match="scheduler and memory need dask: pip install"):
            sweep.run("digits", TINY, tmp_path / "t", **option, **HOW)
    assert sweep.load(tmp_path / "t")["status"].tolist() == ["waiting"]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "nothing to sweep"),
        ({"k": [1], "seed": []}, "nothing to sweep"),
        ({"seed": [1, 2, 1]}, "combination seed 1 is there twice"),
        ({"learning_rate": [0.1, 1e-1]}, r"combination learning_rate 0\.1 is there twice"),
        ({"seeds": [1]}, "did you mean seed?"),
        ({"k": [2, 5]}, "k = 2, updates = 'simultaneous'"),
    ],
)
def test_a_grid_that_cannot_be_right_is_one_line_and_leaves_nothing(tmp_path, grid, message):
    with pytest.raises(ValueError, match=message) as error:
        sweep.run("digits", grid, tmp_path / "s")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_combinations_that_a_recipe_refuses_are_named_before_any_run(monkeypatch):
    grid = {"updates": ["simultaneous", "alternating"], "k": [1, 2], "seed": range(3)}
    make = lambda fields: sweep.training("digits", "none", {}, fields)  # noqa: E731
    with pytest.warns(UserWarning) as told:
        tasks = sweep.plan(make, grid)
    (message,) = (str(one.message) for one in told)
    assert "k = 2, updates = 'simultaneous'" in message
    assert all(f"updates simultaneous, k 2, seed {seed}" in message for seed in range(3))
    assert len(tasks) == 9 and len({task.made for task in tasks}) == 9
    assert [task.parameters["k"] for task in tasks] == [1, 1, 1, 1, 1, 1, 2, 2, 2]


def test_a_folder_of_another_sweep_or_in_use_or_of_other_files_is_refused(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "sweep.json").write_text('{"what": "mnist"}')
    with pytest.raises(ValueError, match="holds something else than a sweep of digits: choose another one"):
        sweep.run("digits", TINY, folder, **HOW)
    (folder / "sweep.json").rename(folder / "notes.json")
    with pytest.raises(ValueError, match="holds something else than a sweep of digits"):
        sweep.run("digits", TINY, folder, **HOW)
    assert (folder / "notes.json").read_text() == '{"what": "mnist"}'
    with FileLock(tmp_path / ".lock"), pytest.raises(TimeoutError, match="lock' could not be acquired"):
        (folder / "notes.json").unlink(), folder.rmdir()
        sweep.run("digits", TINY, tmp_path, **HOW)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_is_finished_is_left_again_where_the_split_is_another(tmp_path):
    def left(split):
        return sweep.left(tmp_path, [sweep.training("digits", split, {}, {"seed": 1})])

    ((task,),) = left("none")
    (tmp_path / task.made).mkdir()
    record = tmp_path / f"{task.made}.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"status": "finished"}))
    assert left("none") == []
    assert left("valid")[0][0].fields["split"] == "valid"


def test_what_is_for_recipes_is_refused_for_a_notebook(tmp_path):
    with pytest.raises(ValueError, match="split = test: this is for recipes alone"):
        sweep.run(lambda parameters: 1 / 0, {"k": [1]}, tmp_path / "s", split="test", device="auto")


def test_a_table_needs_a_sweep_and_whole_records(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"is no sweep: it has no sweep\.json"):
        sweep.load(tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    for number, parameters in enumerate(({"k": 1}, {"k": 1, "loss": "minimax"})):
        record = {"made": f"r{number}", "number": number, "status": "waiting", "parameters": parameters}
        record["fields"] = {"k": 1, "loss": "minimax" if number else "non_saturating", "seed": 0}
        (tmp_path / f"r{number}.json").write_text(json.dumps(record))
    assert sweep.load(tmp_path)[["k", "loss"]].to_numpy().tolist() == [[1, "non_saturating"], [1, "minimax"]]
    (tmp_path / "r1.json").write_text('{"made": "r1", ')
    with pytest.raises(ValueError, match=r"r1\.json is damaged .*: remove it"):
        sweep.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,5", [1, 2, 5]),
        ("0..3", [0, 1, 2, 3]),
        ("-1..1,7", [-1, 0, 1, 7]),
        ("0.1,1e-2", [0.1, 0.01]),
        ("minimax,non_saturating", ["minimax", "non_saturating"]),
        ("[64,64]", [[64, 64]]),
        ("[64,64],(32,32)", [[64, 64], (32, 32)]),
        ("[[1,2],[3]],[[4]]", [[[1, 2], [3]], [[4]]]),
        ("None,[relu,tanh]", [None, ["relu", "tanh"]]),
        ("../mine", ["../mine"]),
    ],
)
def test_values_stand_between_commas_and_a_bracketed_list_is_one(text, expected):
    assert values("field", text) == expected


def test_on_many_gpus_each_worker_has_its_own(tmp_path, monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(sweep, "train", lambda *_, **__: 1 / 0)
    for name, device in (("0", "auto"), ("SpawnProcess-3", "cuda"), ("node", "auto"), ("1", "cpu")):
        monkeypatch.setattr(sweep, "worker", lambda name=name: name)
        task = sweep.training("digits", "none", {} if device == "auto" else {"device": device}, {})
        with pytest.raises(ZeroDivisionError):
            task.play(tmp_path / "run", None)
    assert chosen == [0, 1, 0]


NOTEBOOK = """\
if k > 1:
    raise ValueError(f"k = {k}:\\n it must be 1")
print(k, rate)"""


@pytest.mark.soak
@pytest.mark.filterwarnings("always")
def test_a_notebook_is_executed_with_every_combination(tmp_path, monkeypatch, capsys, cluster):
    cells = [nbformat.v4.new_code_cell(text) for text in ("k = 1\nrate = 0.5", NOTEBOOK)]
    cells[0].metadata.tags = ["parameters"]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "small.ipynb", "-p", "k=1,2", "-p", "rate", "0.25", "--out", "s"]
    words += ["--scheduler", cluster.scheduler_address]
    assert gan.__main__.main(words) == 2
    err = capsys.readouterr().err
    assert "small-k=2-rate=0.25.ipynb failed: ValueError: k = 2: it must be 1" in err
    assert "gan: 1 of 2 failed; the same command tries them again" in err
    table = sweep.load("s")
    assert table["status"].tolist() == ["finished", "failed"] and table["rate"].tolist() == [0.25] * 2
    made = nbformat.read(tmp_path / "s" / table.index[0], as_version=4)
    assert made.cells[-1].outputs[0].text == "1 0.25\n"
    assert gan.__main__.main(["sweep", "small.ipynb", "-p", "kk", "1", "--out", "t"]) == 2
    assert "small.ipynb has no parameter kk; it has: k, rate" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


@pytest.fixture
def hurried(tmp_path, monkeypatch):
    """An environment whose dask workers keep and look often."""
    (tmp_path / "hurry.py").write_text(f"import gan\n{inspect.getsource(hurry)}\nhurry()\n")
    return os.environ | {"DASK_DISTRIBUTED__WORKER__PRELOAD": str([str(tmp_path / "hurry.py")])}


@pytest.mark.soak
def test_the_scheduler_is_killed_and_the_same_call_goes_on(tmp_path, hurried):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, python = f"tcp://127.0.0.1:{port}", [sys.executable, "-m"]
    scheduler = [*python, "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"]
    worker = [*python, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    grid = LONG | {"loss": ["non_saturating", "minimax"]}
    how = {"stderr": subprocess.DEVNULL, "cwd": tmp_path, "env": hurried}

    @contextmanager
    def started():
        processes = [subprocess.Popen(command, **how) for command in (scheduler, worker)]
        try:
            yield processes[0]
        finally:
            for process in processes:
                process.kill()
                process.wait()

    with started() as process:
        after_epoch(tmp_path / "s" / f"{NAME}.json", 5, lambda told: process.kill())
        with pytest.raises(ConnectionError, match="the workers are gone: the same command goes on"):
            sweep.run("digits", grid, tmp_path / "s", scheduler=address, **HOW)
    with started():
        table = sweep.run("digits", grid, tmp_path / "s", scheduler=address, **HOW)
    assert table["status"].tolist() == ["finished"] * 2 and table["attempts"].tolist() == [2, 1]
    assert_equal(tmp_path / "s" / NAME, alone(tmp_path / "alone", epochs=60))


@pytest.mark.soak
@pytest.mark.parametrize("group", [True, False])
def test_ctrl_c_leaves_everything_to_the_same_command(tmp_path, hurried, group):
    name = NAME.replace("epochs=60", "epochs=300")
    words = ["-p", "g_hidden", "[8,8]", "-p", "d_hidden", "[8]", "-p", "d_pieces=2", "-p", "batch_size=300"]
    words += [
        "-p",
        "epochs=300",
        "-p",
        "loss=non_saturating,minimax",
        "--out",
        "s",
        "--workers",
        "1",
        "--split",
        "none",
    ]
    command = [sys.executable, "-m", "gan", "sweep", "digits", *words]
    how = {
        "cwd": tmp_path,
        "env": hurried,
        "text": True,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    process = subprocess.Popen(command, start_new_session=True, **how)
    after_epoch(tmp_path / "s" / f"{name}.json", 5, lambda told: None).join()
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 130 and not out, err
    assert any(line.startswith("gan: stopped; the same command") for line in err.splitlines())
    assert "Traceback" not in err
    table = sweep.load(tmp_path / "s")
    assert table["status"].tolist() == ["unfinished", "waiting"]
    done = subprocess.run(command, **how)
    assert done.returncode == 0, done.stderr
    assert sweep.load(tmp_path / "s")["status"].tolist() == ["finished"] * 2
    assert_equal(tmp_path / "s" / name, alone(tmp_path / "alone", epochs=300))


@pytest.mark.soak
def test_a_worker_beyond_its_memory_is_ended_and_the_run_reported(tmp_path):
    grid = TINY | {"g_hidden": [[8, 8], [20000, 20000]], "epochs": [1]}
    with pytest.warns(UserWarning, match="KilledWorker"):
        table = sweep.run("digits", grid, tmp_path / "s", workers=1, memory="1300MB", **HOW)
    assert table["status"].tolist() == ["finished", "failed"]
    assert "KilledWorker" in table["error"].iloc[1]


@pytest.mark.soak
def test_a_thousand_runs_are_all_done_once_in_bounded_memory(cluster, tmp_path):
    grid = TINY | {"epochs": [1], "seed": range(1000)}
    with Client(cluster) as client:
        memory = []
        for runs_of in (range(100), range(1000)):
            table = sweep.run("digits", grid | {"seed": runs_of}, tmp_path / "s", scheduler=cluster, **HOW)
            here = psutil.Process().memory_info().rss
            memory.append([here, *client.run(lambda: psutil.Process().memory_info().rss).values()])
    assert len(table) == 1000 and set(table["status"]) == {"finished"} and set(table["attempts"]) == {1}
    assert sorted(table["seed"]) == list(range(1000))
    assert len([*tmp_path.glob("s/*/checkpoint.pt")]) == 1000
    assert all(after < before + 50e6 for before, after in zip(*memory, strict=True)), memory
