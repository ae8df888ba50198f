"""The simulated broker and its writer do what Kafka does when no fault is planned."""

from collections.abc import Sequence

from services.eventing.ports import Record, TopicPartition
from tests.integration.log_suite import Log, LogSuite, Scenario
from tests.support.simulation.log import Broker, SimulatedLogWriter
from tests.support.simulation.loop import Node, SimulatedLoop
from tests.support.simulation.network import Network

PARTITIONS = 3


class TestSimulatedLog(LogSuite):
    def run(self, scenario: Scenario) -> None:
        loop = SimulatedLoop(seed=1)
        broker = Broker(Network(loop), "broker", partitions=PARTITIONS)
        writers: list[SimulatedLogWriter] = []

        def writer() -> SimulatedLogWriter:
            writers.append(SimulatedLogWriter(broker, f"process{len(writers)}"))
            return writers[-1]

        async def read(topic: str) -> Sequence[Record]:
            return [record for each in range(PARTITIONS) for record in broker.log(TopicPartition(topic, each))]

        async def bounds(topic: str) -> list[tuple[int, int]]:
            partitions = [TopicPartition(topic, each) for each in range(PARTITIONS)]
            return list((await broker.ask(broker.bounds, partitions)).values())

        async def in_a_process() -> None:
            await scenario(Log(("one", "other"), PARTITIONS, writer, read, bounds))

        loop.run_until_complete(Node(loop, "process").spawn(in_a_process()))
