"""Close the runs that nobody can be working on, so that they do not hold their deployments' only slots.

Prefect keeps in memory who holds a slot, and in its database how many are taken: after a kill of its server
nothing gives them back, and every later run is cancelled ("Deployment concurrency limit reached").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, State


def close(state: State) -> int:
    """End every begun run of the served deployments with ``state`` and free their slots; return how many.

    To be called while no runner serves them. What a work pool runs is left alone, and what commands run.
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
    """Set a limit's count of taken slots to none, also where no run tells who took one."""
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(active_slots=0))
