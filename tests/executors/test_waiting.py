"""What a Ray task waits for, without Ray: letters that go out in their order, an interrupt that ends a silent wait."""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time

import pytest

from distbench.executors.manners import heard_while_waiting
from distbench.executors.outbox import FULL, Outbox


def test_letters_arrive_in_order_while_the_writer_goes_on() -> None:
    gate, arrived = threading.Event(), list[int]()

    def deliver(event: dict[str, int]) -> None:
        gate.wait(20)
        arrived.append(event["n"])

    with Outbox(deliver) as outbox:
        for number in range(FULL):
            outbox.post({"n": number})
        assert arrived == []  # none was delivered, and nobody was held up
        late = threading.Thread(target=outbox.post, args=({"n": FULL},))
        late.start()
        late.join(0.2)
        assert late.is_alive()  # one more would pile up
        gate.set()
        late.join(20)
    assert arrived == [*range(FULL + 1)]  # all, once the outbox is left


def test_a_fault_of_the_post_reaches_the_writer_and_nobody_hangs() -> None:
    def deliver(event: dict[str, int]) -> None:
        raise OSError("the driver is gone")

    def write(count: int) -> None:
        with Outbox(deliver) as outbox:
            for number in range(count):
                outbox.post({"n": number})
                time.sleep(0.01)

    for count in (3 * FULL, 1):  # while it writes, and after its last word
        with pytest.raises(OSError, match="driver is gone"):
            write(count)


def test_a_cancelled_writer_does_not_wait_for_its_letters() -> None:
    never = threading.Event()

    def write() -> None:
        with Outbox(lambda event: never.wait(60)) as outbox:
            outbox.post({"n": 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    never.set()


def test_an_interrupt_that_is_only_marked_ends_a_silent_wait() -> None:
    reading, writing = os.pipe()
    handlers = signal.getsignal(signal.SIGURG), signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a worker of Ray
    marks = threading.Timer(0.2, _thread.interrupt_main)
    otherwise = threading.Timer(30, os.close, [writing])  # the wait would end with this
    marks.start()
    otherwise.start()
    try:
        with heard_while_waiting(), pytest.raises(KeyboardInterrupt):
            os.read(reading, 1)
        assert otherwise.is_alive()
    finally:
        otherwise.cancel()
        signal.signal(signal.SIGINT, handlers[1])
    assert signal.getsignal(signal.SIGURG) == handlers[0]
    assert signal.set_wakeup_fd(-1) == -1
