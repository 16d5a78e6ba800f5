"""New processes of a Gateway for one run: at the same stores and ports, and with nothing of an earlier run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from conftest import scenario_of, target_of

from stress.engine.running import follow_restarted, schedule_of
from stress.executors.live.executor import LiveExecutor
from stress.processes.child import free_port
from stress.schedulers.interleaving import Interleaving

if TYPE_CHECKING:
    from stress.config.target import Target


def with_listener(target: Target) -> Target:
    """Give a target of two replicas whose gate must listen on fixed ports."""
    data = target.model_dump(exclude_unset=True)
    return type(target).model_validate({**data, "replicas": 2, "stores": {"redis": {"listen": free_port()}}})


@pytest.mark.asyncio
@pytest.mark.parametrize("store", ["redis", "kubernetes"])
async def test_an_schedule_has_the_same_trace_in_new_processes(store: str) -> None:
    """Each Gateway is another process, the gate listens where it did, and the same steps have the same outcome."""
    if store == "redis":
        scenario, target = scenario_of("atomic-hit-count"), with_listener(target_of("redis-read-modify-write"))
    else:
        scenario, target = scenario_of("concurrent-duplicates"), target_of("kube-status")
    async with LiveExecutor(scenario, target) as executor:
        before = await executor.run(Interleaving(()))
        children = [replica.process.pid for replica in executor.replicas.values() if replica.process is not None]
        ports = [
            one._listener.sockets[0].getsockname()
            for one in executor.deployment.stores[store]._proxies
            if one._listener is not None
        ]
        repeat = await follow_restarted(schedule_of(before, executor, 0, ()), executor)
        after = [replica.process.pid for replica in executor.replicas.values() if replica.process is not None]
        listening = [
            one._listener.sockets[0].getsockname()
            for one in executor.deployment.stores[store]._proxies
            if one._listener is not None
        ]
        assert executor.deployment.death == ""
        assert not executor.deployment.hurt_by_now
    assert (repeat.fault, repeat.signature) == ("", before.signature)
    assert repeat.fresh != before.fresh
    assert len(after) == target.replicas
    assert set(after).isdisjoint(children)
    assert store != "redis" or listening == ports
