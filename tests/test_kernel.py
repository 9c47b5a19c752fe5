"""Ctrl-C in a notebook stops a training, and leaves a run that goes on as if it had not been stopped."""

import time

import pytest
from jupyter_client.manager import start_new_kernel

import gan

pytestmark = pytest.mark.soak
CELL = """
import gan
recipe = gan.recipe("digits", epochs=12, seed=3)
gan.train(recipe, {folder!r}, progress=False, engine="eager")
"""


def interrupted(folder):
    """What a kernel answers to CELL, interrupted at the first checkpoint, and to what comes after."""
    manager, client = start_new_kernel()
    try:
        asked = client.execute(CELL.format(folder=str(folder)))
        end = time.monotonic() + 60
        while not (folder / gan.runs.CHECKPOINT).exists() and time.monotonic() < end:
            time.sleep(0.02)
        manager.interrupt_kernel()
        while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != asked:
            pass
        after = client.execute_interactive("1 + 1", timeout=60, silent=True)
        return reply["content"], after["content"]["status"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_an_interrupted_kernel_leaves_a_run_that_goes_on_bit_for_bit(tmp_path):
    reply, after = interrupted(tmp_path / "run")
    assert (reply["status"], reply["ename"], after) == ("error", "KeyboardInterrupt", "ok")
    stopped = gan.Run.load(tmp_path / "run")
    assert 0 < len(stopped.history) < stopped.recipe.epochs
    runs = [
        gan.train(stopped.recipe, tmp_path / name, progress=False, engine="eager")
        for name in ("run", "other")
    ]
    for one, other in zip(*(run.generator.parameters() for run in runs), strict=True):
        assert one.equal(other)
    histories = [run.history.drop(columns="seconds") for run in runs]
    assert histories[0].equals(histories[1])
