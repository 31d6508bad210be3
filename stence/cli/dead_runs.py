"""Close abandoned runs, so that they do not occupy the only slot of their deployment.

Prefect keeps the holders of slots in memory, and the number of occupied slots in its database. After a kill
of its server no slot is released. Every later run is then cancelled ("Deployment concurrency limit reached").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State


def close(state: State) -> int:
    """Set every open run of the served deployments to ``state`` and release the slots; return the number.

    Call this only while no runner serves the deployments. Runs of a work pool and of commands are left alone.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        served = [found for found in client.read_deployments() if found.work_pool_name is None]
        closed = 0
        while runs := _begun(client, [deployment.id for deployment in served]):
            for run in runs:
                client.set_flow_run_state(run.id, state, force=True)
            closed += len(runs)
        for limit in (deployment.global_concurrency_limit for deployment in served):
            if limit is not None:
                _free(client, limit.name)
    return closed


def _begun(client: SyncPrefectClient, deployments: list[UUID]) -> list[FlowRun]:
    """Some of the runs of ``deployments`` that began and did not end."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    begun = filters.FlowRunFilterStateType(any_=[StateType.PENDING, StateType.RUNNING, StateType.CANCELLING])
    which = filters.FlowRunFilter(
        state=filters.FlowRunFilterState(type=begun),
        deployment_id=filters.FlowRunFilterDeploymentId(any_=deployments),
    )
    return client.read_flow_runs(flow_run_filter=which)


def _free(client: SyncPrefectClient, limit: str) -> None:
    """Set a limit's number of occupied slots to 0, even without a run that occupies one."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(active_slots=0))
