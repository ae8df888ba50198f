"""Makes a generation that was built beside the live one the live one, at one instant."""

from functools import partial
from typing import Final

from services.eventing.generations import GENERATIONS, POINTER
from services.eventing.ports import Reads, Store, Transaction
from services.eventing.positions import POSITIONS, position_id
from services.recovery.builder import Builder, Live
from services.recovery.compare import Verdict
from services.recovery.projection import Projection

TRIES_MAX: Final = 20
"""So often the live processor may have gone on meanwhile."""
RETIRED_OFFSET: Final = 2**62
"""Stands in the positions of the generation that was replaced: a processor that still works on it stops."""


class SwapRefusedError(Exception):
    """Why the generations stay as they are."""


class _WentOnError(Exception):
    """The live processor has applied more than was compared."""


async def next_generation(reads: Reads) -> int:
    """The number of the generation that is built next; the first is 1."""
    pointer = (await reads.get(GENERATIONS, [POINTER])).get(POINTER)
    return 2 if pointer is None else int(pointer["generation"]) + 1


async def swap(builder: Builder, projection: Projection, base: Store, generation: int, *, accept: bool) -> Verdict:
    """Compares at the live positions, then moves the pointer if nothing was applied in between.

    ``base`` has the real names. Differences are refused unless accepted, and those of owned records always: a rebuild
    replaces no record. Raises ``SwapRefusedError``.
    """
    for _ in range(TRIES_MAX):
        live = await builder.look()
        verdict = await builder.verdict(live)
        _refuse(verdict, projection, accept=accept)
        try:
            await base.transact(
                partial(_move, builder=builder, projection=projection, live=live, generation=generation)
            )
        except _WentOnError:
            continue
        return verdict
    raise SwapRefusedError("the live processor goes on faster than can be compared: stop it, then swap")


def _refuse(verdict: Verdict, projection: Projection, *, accept: bool) -> None:
    owned = [each for each in verdict.differences if each.collection in projection.records]
    if owned or verdict.disordered:
        raise SwapRefusedError("records differ, not only what is made of them: restore them (docs/restore.md)")
    if verdict.wrong and not accept:
        raise SwapRefusedError("the generations differ: look at them, then swap with --accept-differences")


async def _move(tx: Transaction, *, builder: Builder, projection: Projection, live: Live, generation: int) -> None:
    if await builder.ends_in(builder.live_reads(tx)) != live.ends:
        raise _WentOnError
    kept = {name: real for name, real in builder.names.items() if name not in projection.records}
    positions = builder.live_name(POSITIONS)
    await tx.replace(GENERATIONS, [{"_id": POINTER, "generation": generation, "names": kept}])
    # Written with the pointer, so that of this and a batch of the old generation only one commits.
    retired = {"last_id": None, "last_offset": None, "next": RETIRED_OFFSET}
    names = [position_id(builder.processor, each) for each in builder.partitions]
    await tx.replace(positions, [{"_id": name, **retired} for name in names])
    if projection.after_swap is not None:
        await projection.after_swap(tx)
