"""Says what waits in a store's parking, as the relay reads it."""

from services.eventing.ports import Reads
from services.eventing.relay.waiting import read_queues


async def waits(reads: Reads) -> tuple[int, int, int]:
    """Records, keys, and minutes of service."""
    queues = await read_queues(reads)
    return sum(queue["count"] for queue in queues), len(queues), sum(queue["minutes"] for queue in queues)
