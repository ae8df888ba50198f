"""The deterministic loop: order, time, death, pauses and what it forbids."""

import asyncio
import threading  # noqa: TID251 - to see it forbidden

import pytest

from tests.support.simulation.loop import Node, NotDeterministicError, SimulatedLoop, current_node

pytestmark = pytest.mark.simulation


async def steps(log: list[str], name: str, count: int) -> None:
    try:
        for each in range(count):
            log.append(f"{name}{each}")
            await asyncio.sleep(0)
    finally:
        log.append(f"{name} ended")


def order_of(seed: int) -> tuple[list[str], int]:
    loop, log = SimulatedLoop(seed), list[str]()
    for name in "abc":
        Node(loop, name).spawn(steps(log, name, 5))
    loop.run()
    return log, loop.trace


def test_one_seed_gives_one_order_and_one_trace() -> None:
    assert order_of(7) == order_of(7)
    assert len({tuple(order_of(seed)[0]) for seed in range(20)}) > 10


def test_tasks_of_one_node_run_first_in_first_out() -> None:
    loop, log = SimulatedLoop(), list[str]()
    node = Node(loop, "node")
    for name in "abc":
        node.spawn(steps(log, name, 2))
    loop.run()
    assert log == ["a0", "b0", "c0", "a1", "b1", "c1", "a ended", "b ended", "c ended"]


def test_time_moves_only_when_nobody_can_run() -> None:
    loop, seen = SimulatedLoop(), list[tuple[str, float]]()

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, loop.time()))

    for name, seconds in (("late", 3600.0), ("early", 0.5)):
        Node(loop, name).spawn(sleeper(name, seconds))
    loop.run()
    assert seen == [("early", 0.5), ("late", 3600.0)]


def test_run_stops_before_a_timer_beyond_its_limit() -> None:
    loop = SimulatedLoop()
    loop.root.spawn(asyncio.sleep(10))
    assert loop.run(until_s=9) is False
    assert loop.now == 0


def test_a_killed_node_runs_neither_except_nor_finally() -> None:
    loop, log = SimulatedLoop(), list[str]()
    node = Node(loop, "node")

    async def sleeper() -> None:
        try:
            await asyncio.sleep(1)
        finally:
            log.append("a ended")

    node.spawn(sleeper())
    loop.root.call_later(0.5, node.kill)
    loop.run()
    assert log == []
    assert not node.tasks[0].done()


def test_a_burnt_fuse_kills_at_exactly_that_step() -> None:
    loop, log, dead = SimulatedLoop(), list[str](), list[str]()
    loop.on_death = lambda node: dead.append(node.name)
    node = Node(loop, "node")
    node.fuse = 3
    node.spawn(steps(log, "a", 100))
    loop.run()
    assert log == ["a0", "a1", "a2"]
    assert dead == ["node"]


def test_a_paused_node_goes_on_where_it_was_and_finds_its_timers_due() -> None:
    loop, seen = SimulatedLoop(), list[float]()
    node = Node(loop, "node")

    async def sleeper() -> None:
        await asyncio.sleep(1)
        seen.append(loop.time())

    node.spawn(sleeper())
    loop.root.call_later(0.5, node.pause)
    loop.root.call_later(5, node.resume)
    loop.run()
    assert seen == [5.0]


def test_a_callback_runs_in_the_node_that_made_it() -> None:
    loop, seen = SimulatedLoop(), list[str]()
    first, second = Node(loop, "first"), Node(loop, "second")

    async def ask() -> None:
        answer = loop.create_future()
        second.call_later(0.1, lambda: answer.set_result(current_node().name))
        seen.append(await answer)
        seen.append(current_node().name)

    first.spawn(ask())
    loop.run()
    assert seen == ["second", "first"]


def test_threads_and_executors_are_forbidden() -> None:
    loop = SimulatedLoop()

    async def in_a_thread() -> None:
        threading.Thread(target=print).start()

    async def in_an_executor() -> None:
        await loop.run_in_executor(None, print)

    for work in (in_a_thread(), in_an_executor()):
        task = loop.root.spawn(work)
        loop.run()
        with pytest.raises(NotDeterministicError):
            task.result()


def test_an_exception_that_nobody_awaits_is_kept() -> None:
    loop = SimulatedLoop()
    loop.call_soon(lambda: 1 / 0)
    loop.run()
    assert isinstance(loop.failures[0]["exception"], ZeroDivisionError)


def test_sets_of_tasks_have_the_same_order_in_every_run() -> None:
    def order() -> list[str]:
        loop, log = SimulatedLoop(3), list[str]()

        async def main() -> None:
            tasks = {asyncio.ensure_future(steps(log, name, 1)) for name in "abcdefgh"}
            log.extend(str(task.get_name()) for task in tasks)
            await asyncio.wait(tasks)

        loop.run_until_complete(main())
        return [each for each in log if "Task" not in each]

    assert order() == order()


def test_asyncio_timeouts_wait_groups_and_queues_work() -> None:
    loop = SimulatedLoop()

    async def main() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(50)
        assert loop.time() == 5
        queue = asyncio.Queue[str]()
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.put("done"))
            got = group.create_task(queue.get())
        assert await asyncio.wait_for(asyncio.shield(got), 1) == "done"
        return got.result()

    assert loop.run_until_complete(main()) == "done"


def test_a_deadlock_is_an_error() -> None:
    loop = SimulatedLoop()
    with pytest.raises(RuntimeError, match="nothing is left to do"):
        loop.run_until_complete(loop.create_future())
